"""The demo: the whole house on this machine, one photo sent through it, then at your service until Ctrl-C.

demo                 one_for_one
├─ gemini            Gemini's imitation on loopback (not when GEMINI_BASE_URL names another one)
├─ turbotext         the same for Turbotext (TURBOTEXT_BASE_URL)
└─ service           the tree of `photochanger.app`
"""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import trio

from photochanger.app import House
from photochanger.config import Config
from photochanger.demo.address import lan_address
from photochanger.demo.dslr import Options, Shot, shoot
from photochanger.demo.guest import draw_guest
from photochanger.demo.report import farewell, greeting, write_description
from photochanger.demo.secrets import DemoSecrets, load_or_make
from photochanger.providers.gemini.simulator import GeminiSimulator
from photochanger.providers.turbotext.simulator import TurbotextSimulator
from photochanger.service import serve
from supervisors import Child, Supervisor

SLOT = "slot-001"


class Demo:
    """One run of the demo. `ok` tells whether a verified picture came back."""

    def __init__(self, config: Config, *, once: bool, photo: Path | None) -> None:
        self._config = config
        self._once = once
        self._photo = photo
        self._simulator = GeminiSimulator() if config.gemini_base_url is None else None
        self._turbotext = TurbotextSimulator() if config.turbotext_base_url is None else None
        self._secrets: DemoSecrets | None = None
        self.ok = False
        children = [Child("service", self._serve, restart="temporary", start_timeout=600.0, grace=90.0)]
        for name, simulator in (("gemini", self._simulator), ("turbotext", self._turbotext)):
            if simulator is not None:
                children.insert(-1, Child(name, simulator.run))
        self.tree = Supervisor("demo", children)

    async def run(self) -> None:
        """Make the passwords, start the tree, and live until the service was drained."""
        _say("Making passwords")
        self._secrets = await trio.to_thread.run_sync(load_or_make, self._config.secrets_dir)
        await self.tree.run()

    async def _serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        assert self._secrets is not None
        config = replace(
            self._config,
            gemini_base_url=self._simulator.base_url if self._simulator else self._config.gemini_base_url,
            turbotext_base_url=self._turbotext.base_url if self._turbotext else self._config.turbotext_base_url,
            # The imitation is on this machine, and fetches photos from it.
            public_base_url=self._config.public_base_url
            or f"http://{_reachable(self._config.host)}:{self._config.port}",
            ingest_password=self._secrets.ingest_password,
        )
        async with trio.open_nursery() as nursery:
            house: House = await nursery.start(partial(serve, config, on_progress=_say))
            try:
                await self._show(house, config, self._secrets)
            finally:
                task_status.started()
                if self._once:
                    house.begin_drain()
        self.tree.request_stop()

    async def _show(self, house: House, config: Config, secrets: DemoSecrets) -> None:
        base_url = f"http://{_reachable(config.host)}:{house.server.port}"
        description = config.var / "demo.json"
        imitations = {"gemini": self._simulator, "turbotext": self._turbotext}
        simulators = {name: each.base_url for name, each in imitations.items() if each is not None}
        await trio.to_thread.run_sync(write_description, description, base_url, house.database.dsn, secrets, simulators)
        photo = self._photo or config.var / "demo" / "guest.jpg"
        result = config.var / "demo" / "result.jpg"
        result.parent.mkdir(parents=True, exist_ok=True)
        if self._photo is None:
            _say("Taking a photo of our guest")
            await trio.to_thread.run_sync(draw_guest, photo)
        _say(f"Sending {photo} through {SLOT}, as the booth does")
        shot: Shot = await shoot(
            f"{base_url}/api/ingest/{SLOT}",
            photo,
            password=secrets.ingest_password,
            options=Options(timeout=config.t_sync + 2.0),
            save_to=result,
        )
        self.ok = shot.verdict == "modified"
        public = self._config.public_base_url or lan_address(config.host, house.server.port)
        print(greeting(shot, base_url, public, config, description, simulated=self._simulator is not None))
        print(farewell(once=self._once), flush=True)


async def run_demo(config: Config, *, once: bool, photo: Path | None) -> int:
    """The command `photochanger demo`: its exit code, 0 only when a verified picture came back."""
    demo = Demo(config, once=once, photo=photo)
    try:
        await demo.run()
    finally:
        (config.var / "demo.json").unlink(missing_ok=True)
    return 0 if demo.ok else 1


def _say(text: str) -> None:
    print(f"· {text[:1].upper()}{text[1:]}", file=sys.stdout, flush=True)


def _reachable(host: str) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
