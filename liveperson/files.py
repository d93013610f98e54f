"""
Files between a consumer and an agent: LivePerson's storage hands out URLs that hold for a minute.

Consumer to agent: request_upload_url, upload, then publish_file. Agent to consumer:
request_download_url, download. None of the calls here shows anything to anybody, so each may be repeated: an unknown
outcome of one is raised as NotSent.

Source: developers.liveperson.com/connector-api-send-api-examples.html, "file sharing"
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from core.errors import CredentialsRejected, NotSent, RequestRejected
from core.http import Answer, AnswerTooLarge
from liveperson.auth import Tokens
from liveperson.domains import FILES
from liveperson.errors import error_from_response, preparing
from liveperson.send_api import SendApi

UPLOAD_DEADLINE_S = 9.0
MAX_FILE_BYTES = 5 << 20

# From the root, nothing that could end the path, climb up in it or be read as a host.
_PATH = re.compile(r"/(?!/)[^\x00-\x20\x7f\\?#]{1,1023}")
_PARAMETER = re.compile(r"[!-~]{1,512}", re.ASCII)


@dataclass(frozen=True)
class TemporaryUrl:
    """A place in LivePerson's storage, and the signature that opens it for a minute."""

    relative_path: str
    query: dict[str, str] = field(repr=False)


class FileCalls(SendApi):
    """The file calls of LivePersonClient."""

    def request_upload_url(self, *, tokens: Tokens, request_id: str, file_size: int, file_type: str) -> TemporaryUrl:
        """Ask where a file may be put. file_type: upper case, such as PNG. Fails where file sharing is switched off."""
        body = {"fileSize": str(file_size), "fileType": file_type.upper()}
        return self._temporary_url(tokens, request_id, "ms.GenerateURLForUploadFile", body)

    def request_download_url(self, *, tokens: Tokens, request_id: str, relative_path: str) -> TemporaryUrl:
        """Ask for access to a file that a notification named."""
        return self._temporary_url(tokens, request_id, "ms.GenerateURLForDownloadFile", {"relativePath": relative_path})

    def upload(self, temp_url: TemporaryUrl, content: bytes, *, content_type: str = "application/octet-stream") -> None:
        """Put the bytes of a file where LivePerson said."""
        with preparing("the upload of a file"):
            answer = self._call("PUT", temp_url, body=content, headers={"Content-Type": content_type})
            if not 200 <= answer.status < 300:
                raise _storage_error(answer)

    def download(self, temp_url: TemporaryUrl, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        """Get the bytes of a file. Raises RequestRejected when it is larger than max_bytes."""
        with preparing("the download of a file"):
            answer: Answer | None = None
            try:
                answer = self._call("GET", temp_url, max_bytes=max_bytes)
            except AnswerTooLarge:
                pass  # said below, where it is not taken for a passing trouble
            if answer is not None and answer.status != 200:
                raise _storage_error(answer)
        if answer is None:
            raise RequestRejected(f"The file is larger than {max_bytes} bytes.", provider_code="file_too_large")
        return answer.body

    def _temporary_url(self, tokens: Tokens, request_id: str, type: str, body: dict[str, Any]) -> TemporaryUrl:
        with preparing("the request for a temporary file URL"):
            found = self.send(tokens=tokens, request_id=request_id, type=type, body=body)
        path, query = found.get("relativePath"), found.get("queryParams")
        is_path = isinstance(path, str) and _PATH.fullmatch(path) and ".." not in path.split("/")
        names = ("temp_url_sig", "temp_url_expires")
        values = [str(query.get(name, "")) for name in names] if isinstance(query, dict) else []
        if not is_path or not values or not all(map(_PARAMETER.fullmatch, values)):
            raise NotSent("LivePerson's answer holds no usable temporary file URL. What it was for has not been sent.")
        return TemporaryUrl(str(path), dict(zip(names, values, strict=True)))

    def _call(self, method: str, temp_url: TemporaryUrl, **options: Any) -> Answer:
        base_url = self.domains.base_url(account_id=self.account_id, service=FILES)
        try:
            return self.http.request(
                method,
                base_url + temp_url.relative_path,
                params=temp_url.query,
                deadline_s=UPLOAD_DEADLINE_S,
                **options,
            )
        except NotSent:
            self.domains.forget(self.account_id)
            raise


def _storage_error(answer: Answer) -> Exception:
    error = error_from_response(answer)
    if isinstance(error, CredentialsRejected):
        # The storage speaks of its own signature, which is a minute old; our credentials are fine.
        return NotSent(
            "LivePerson's storage did not accept the temporary URL; a new one is needed.",
            http_status=answer.status,
            answer_head=error.answer_head,
        )
    return error
