"""The token, which is the account's only password, and a proxy's password are shown to nobody: in
no log, message, exception or list of processes. Run after all others, it looks at all that they
have printed, at debug level, in every kind of trouble."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List

import pytest
from program import LANGUAGES, Program, reporting_to
from receiver import ReceiverProcess
from served import PASSWORD, TOKEN

both = pytest.mark.parametrize("language", LANGUAGES)
SECRETS = [TOKEN, PASSWORD]


def shown(text: str) -> List[str]:
    return [secret for secret in SECRETS if secret in text]


def printed(directory: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(directory):
        for name in names:
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield path


# Everything that can be printed or raised.
TELLS_ALL: Dict[str, str] = {
    "ruby": """
        def tell(thing) = puts(thing.inspect, thing.to_s, thing.instance_variables.inspect)
        record(2)
        flush
        DynoscaleRuby.configure { |c| c.url = ENV['DYNOSCALE_URL'].sub('http', 'gopher') }
        DynoscaleRuby.configure { |c| c.url = "http://a b/#{ENV['DYNOSCALE_URL']}" }
        DynoscaleRuby.configure { |c| c.url = [ENV['DYNOSCALE_URL']] }
        DynoscaleRuby.configure { |c| c.url = nil; c.logger = ENV['DYNOSCALE_URL'] }
        [DynoscaleRuby, DynoscaleRuby.settings, APP, DynoscaleRuby::Log].each { |it| tell it }
        puts DynoscaleRuby.stats, DynoscaleRuby::Settings.new.inspect
        record(2)
        begin
          DynoscaleRuby::Agent.open(ENV['DYNOSCALE_URL'])
        rescue StandardError => e
          puts e.full_message
        end
        say
    """,
    "python": """
import logging, traceback
from dynoscale import _native
from dynoscale.config import Config
logging.basicConfig(level=logging.DEBUG)
url = os.environ["DYNOSCALE_URL"]
record(2)
flush()
dynoscale.configure(url=url.replace("http", "gopher"))
dynoscale.configure(url="http://a b/" + url)
dynoscale.configure(url=[url])
config = Config()
print(config, repr(config), config.settings, config.warnings, vars(config), stats(), repr(app))
for wrong in (lambda: dynoscale.flush(url), lambda: _native.open(url)):
    try: wrong()
    except TypeError: traceback.print_exc()
dynoscale.configure(url=None)
print(Config())
record(2)
say()
""",
}


@both
def test_all_that_can_be_shown_is_shown_without(language: str, tmp_path: Path) -> None:
    with ReceiverProcess() as receiver:
        settings = reporting_to(
            receiver.url,
            DYNOSCALE_LOG_LEVEL="debug",
            http_proxy=receiver.url.replace("//", f"//user:{PASSWORD}@"),
        )
        receiver.behave("status", status=403, times=1)
        with Program(language, TELLS_ALL[language], tmp_path, settings) as program:
            lines: List[str] = []
            while not lines or lines[-1] != "ready":
                lines.append(program.hear())
            listed = subprocess.run(
                ["ps", "-L", "-ww", "-o", "pid,comm,args", "-p", str(program.pid)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            ).stdout
            program.go_on()
            program.end()
        assert TOKEN in receiver.reports()[0]["path"], "nothing secret was in use"
    assert "[hidden]" in "\n".join(lines)
    assert shown("\n".join(lines)) == []
    assert shown(program.log) == []
    assert "gopher" not in program.log
    assert shown(listed) == []


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "file:///etc/passwd?", "gopher://127.0.0.1/", "127.0.0.1/", "//x/"]
)
@both
def test_other_protocols_are_refused_in_one_line(language: str, url: str, tmp_path: Path) -> None:
    settings = {**reporting_to(""), "DYNOSCALE_URL": url + TOKEN}
    program = Program(language, "record(2)", tmp_path, settings)
    program.run()
    assert len(program.log.splitlines()) == 1
    assert "DYNOSCALE_URL is not an http or https address" in program.log
    assert shown(program.log) == []


def test_nothing_that_any_run_has_printed_shows_a_secret(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = list(printed(tmp_path_factory.getbasetemp()))
    assert [str(path) for path in files if shown(path.read_text("utf-8", "replace"))] == []
    logs = [path for path in files if path.suffix == ".log" and path.stat().st_size > 0]
    if len(request.session.items) > 1000:  # all others have been run
        assert len(logs) > 200
