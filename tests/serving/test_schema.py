"""Generated requests, valid and not, against the OpenAPI document: no server error, and answers as described."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("schemathesis")

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "missing_required_header", "unsupported_method",
    "allow_header_conformance",
)  # fmt: skip


@pytest.mark.slow
def test_no_generated_request_meets_a_server_error_and_answers_are_as_described(served, tmp_path):
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json", "--checks", ",".join(CHECKS),
        "--max-examples", "150", "--seed", "1", "--no-color", "--continue-on-failure",
    ]  # fmt: skip
    # nothing of the repository's own configuration, and its database in the test's folder
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, env={**os.environ})
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "Traceback" not in served.log
