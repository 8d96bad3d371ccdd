"""An imitation of DSLR Remote Pro, "Postprocess photos, web based (HTTP POST)": what it sends, what it prints.

shot = await shoot("http://127.0.0.1:8080/api/ingest/slot-001", Path("guest.jpg"), password="...")
shot.verdict   # "modified": the booth prints our picture; "original": it prints its own
"""

from photochanger.demo.dslr.client import Shot, shoot, shoot_together
from photochanger.demo.dslr.connection import Connection
from photochanger.demo.dslr.form import Form, build_form, text_fields
from photochanger.demo.dslr.options import Options

__all__ = ["Connection", "Form", "Options", "Shot", "build_form", "shoot", "shoot_together", "text_fields"]
