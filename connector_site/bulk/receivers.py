"""What an erasure takes out of jobs: reasons are written by people, who may have named the person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Q
from django.dispatch import receiver

from audit import api as audit
from connector_site.bulk.models import BulkJob
from conversations.services.erasure import consumer_erased

_MASK = "•••"


@receiver(consumer_erased)
def take_out_of_reasons(*, erasure: Any, words: Sequence[str], **_: Any) -> None:
    """In the transaction of the erasure, which holds the consumer: a job's row is always taken after that."""
    reasons = dict(
        BulkJob.objects.filter(Q(brand=erasure.consumer.brand_id) | Q(brand=None)).values_list("pk", "reason")
    )
    named = [job_id for job_id, reason in reasons.items() if reason and audit.names_any(reason, words)]
    BulkJob.objects.filter(pk__in=named).update(reason=_MASK)
    audit.mask(subject_type="bulkjob", subject_ids=[str(job_id) for job_id in reasons], words=words)
