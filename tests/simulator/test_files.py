"""Hosted files: the URL, the upload, the publishing, the download."""

import time
from urllib.parse import urlencode

import pytest
import requests

from simulator.png import sample_png


@pytest.fixture
def connector(simulator):
    return simulator.connector()


def upload_url(connector, **body):
    return connector.send("ms.GenerateURLForUploadFile", {"fileSize": "100", "fileType": "PNG", **body})


def place(simulator, answer):
    found = answer.json()["body"]
    return f"{simulator.url}{found['relativePath']}?{urlencode(found['queryParams'])}", found["relativePath"]


def test_a_picture_travels_to_the_agent_and_back(simulator, connector):
    conversation, picture = connector.open(), sample_png()
    url, path = place(simulator, upload_url(connector, fileSize=len(picture)))
    assert path.startswith(f"/v1/AUTH_async-images/{connector.account}/")
    assert path.endswith(".PNG")
    assert requests.put(url, data=picture).status_code == 201
    message = {"caption": "receipt", "relativePath": path, "fileType": "PNG"}
    event = {"type": "ContentEvent", "contentType": "hosted/file", "message": message}
    assert connector.publish(conversation, event).json()["body"] == {"sequence": 0}
    shown = connector.read(conversation)["events"][0]
    assert (shown["text"], shown["file"]["relativePath"]) == ("receipt", path)

    got = requests.get(place(simulator, connector.send("ms.GenerateURLForDownloadFile", {"relativePath": path}))[0])
    assert (got.status_code, got.content, got.headers["content-type"]) == (200, picture, "image/png")


def test_a_preview_does_not_count_as_text(simulator, connector):
    conversation = connector.open()
    url, path = place(simulator, upload_url(connector))
    requests.put(url, data=sample_png())

    def publish(preview):
        message = {"relativePath": path, "fileType": "PNG", "preview": "x" * preview}
        event = {"type": "ContentEvent", "contentType": "hosted/file", "message": message}
        return connector.publish(conversation, event).status_code

    assert publish(20_000) == 200
    assert publish(31_000) == 400


@pytest.mark.parametrize(
    "body",
    [
        {"fileType": "EXE"},
        {"fileType": "png"},
        {"fileSize": "0"},
        {"fileSize": str(3 * 1024**2 + 1)},
        {"fileSize": "x"},
    ],
)
def test_files_that_the_account_does_not_take_get_no_url(connector, body):
    assert upload_url(connector, **body).status_code == 400


def test_the_account_decides_what_it_takes(simulator, connector):
    path = f"accounts/{connector.account}"
    simulator.control("PATCH", path, {"files": {"types": ["PDF"], "max_bytes": 50}})
    assert upload_url(connector, fileType="PDF", fileSize=50).status_code == 200
    assert upload_url(connector, fileType="PDF", fileSize=51).status_code == 400
    assert upload_url(connector, fileType="PNG", fileSize=50).status_code == 400
    simulator.control("PATCH", path, {"files": {"enabled": False}})
    assert upload_url(connector, fileType="PDF", fileSize=50).status_code == 400


def test_an_upload_larger_than_the_limit_is_cut_off(simulator, connector):
    simulator.control("PATCH", f"accounts/{connector.account}", {"files": {"max_bytes": 1000}})
    url, _ = place(simulator, upload_url(connector))
    assert requests.put(url, data=b"x" * 1001).status_code == 413


def test_temp_urls_are_bound_to_method_path_and_time(simulator, connector):
    answer = upload_url(connector)
    url, path = place(simulator, answer)
    expires = int(answer.json()["body"]["queryParams"]["temp_url_expires"])
    assert 55 <= expires - time.time() <= 61
    assert requests.get(url).status_code == 401
    assert requests.put(url.replace(path, path + "x"), data=b"x").status_code == 401
    assert requests.put(url.replace(str(expires), str(expires + 60)), data=b"x").status_code == 401
    assert requests.put(f"{simulator.url}{path}", data=b"x").status_code == 401


def test_a_file_must_be_uploaded_before_it_is_published_or_fetched(simulator, connector):
    conversation = connector.open()
    _, path = place(simulator, upload_url(connector))
    event = {"type": "ContentEvent", "contentType": "hosted/file", "message": {"relativePath": path, "fileType": "PNG"}}
    assert connector.publish(conversation, event).status_code == 400
    url, _ = place(simulator, connector.send("ms.GenerateURLForDownloadFile", {"relativePath": path}))
    assert requests.get(url).status_code == 404


def test_another_accounts_file_is_out_of_reach(simulator, connector):
    other = simulator.connector("87654321")
    _, path = place(simulator, upload_url(other))
    assert connector.send("ms.GenerateURLForDownloadFile", {"relativePath": path}).status_code == 400
