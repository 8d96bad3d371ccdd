from datetime import datetime, timedelta, UTC
from tests.house.shared import SharedHouse
from tests.lab.house import Lab, READER
from tests.lab.pictures import photo
from photochanger.stats.rollup import Rollup

async def look(lab: Lab) -> None:
    for i in range(3):
        print((await lab.shoot(photo(320,240))).status)
    print((await lab.shoot(photo(320,240), password="wrong")).status)
    print((await lab.shoot(photo(320,240), slot="nowhere")).status)
    await lab.house.rollup.once()
    await Rollup(lab.house.db, ready=lambda: True, now=lambda: datetime.now(UTC)+timedelta(minutes=1)).catch_up()
    async with lab.api(READER) as api:
        for path in ("slots","system","global","providers","slot-001","slot-001/recent_results", "nowhere", "global?group=day&from=2026-01-01", "slots?format=csv", "slot-001?format=csv", "providers?format=csv", "system?format=csv", "slot-001/recent_results?format=csv"):
            r = await api.get("/api/stats/"+path)
            print(path, r.status_code, r.headers.get("content-type"), r.text[:3000])
    async with lab.api(None) as api:
        r = await api.get("/openapi.json")
        print(r.status_code)

def test_smoke(house: SharedHouse) -> None:
    house.run(look)
