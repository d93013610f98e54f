"""What an erasure takes out of jobs: reasons are written by people, who may have named the person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import F, Q
from django.dispatch import receiver

from audit import api as audit
from connector_site.bulk.models import BulkJob
from conversations.services.erasure import consumer_erased
from core.redaction import MASK


@receiver(consumer_erased)
def take_out_of_reasons(*, erasure: Any, words: Sequence[str], **_: Any) -> None:
    """In the transaction of the erasure, which holds the consumer: a job's row is always taken after that."""
    reasons = dict(
        BulkJob.objects.filter(Q(brand=erasure.consumer.brand_id) | Q(brand=None)).values_list("pk", "reason")
    )
    named = [job_id for job_id, reason in reasons.items() if reason and audit.names_any(reason, words)]
    # Taken from whoever works on it: a row under way would be told with the reason as it was.
    BulkJob.objects.filter(pk__in=named).update(reason=MASK, fence=F("fence") + 1, leased_until=None)
    # Each row that it did, most of other consumers, has been told with the reason of the job.
    audit.mask_reasons(correlation_ids=[str(job_id) for job_id in named], words=words)
    audit.mask(subject_type="bulkjob", subject_ids=[str(job_id) for job_id in reasons], words=words)
