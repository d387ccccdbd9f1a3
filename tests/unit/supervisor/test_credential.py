"""The API token: made once, one bare line, for its user alone."""

from pathlib import Path

from pathline.supervisor.credential import CREDENTIAL_FILE, api_token


def test_it_is_made_once(tmp_path: Path) -> None:
    token = api_token(tmp_path)
    path = tmp_path / CREDENTIAL_FILE
    assert path.read_text(encoding="utf-8") == token + "\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert api_token(tmp_path) == token
    assert len(token) >= 32


def test_an_opened_file_is_closed_again(tmp_path: Path) -> None:
    token = api_token(tmp_path)
    (tmp_path / CREDENTIAL_FILE).chmod(0o644)
    assert api_token(tmp_path) == token
    assert (tmp_path / CREDENTIAL_FILE).stat().st_mode & 0o777 == 0o600


def test_an_empty_one_that_a_kill_left_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / CREDENTIAL_FILE).touch()
    assert api_token(tmp_path)
