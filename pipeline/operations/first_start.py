"""First start of an installation: the folder of its storage is marked as such.

Afterwards the rows remember that there is a storage. A folder that lacks its marker then is not
mounted, and only an operator may mark it.
"""

from urllib.parse import urlsplit

import structlog
from sqlalchemy import exists, select
from sqlalchemy.exc import SQLAlchemyError

from pipeline.records.models import Asset, Upload
from pipeline.runtime.database import session_of
from pipeline.services import Services
from pipeline.storage.prepare import prepare_storage
from pipeline.storage.urls import folder_of

log = structlog.get_logger()


def prepare_first(services: Services) -> bool:
    """Mark the storage of an installation that has no videos yet; return true if this call did.

    The folder must be empty or absent. A database that does not answer leaves all as it is.
    """
    url = services.settings.storage.url
    parts = urlsplit(url)
    if parts.scheme != "file" or any(folder_of(parts).glob("*")):
        return False
    try:
        with session_of(services.engine) as session:
            if session.scalar(select(exists(select(Asset.id)) | exists(select(Upload.id)))):
                return False
        return prepare_storage(url)
    except (SQLAlchemyError, OSError) as error:
        log.warning("storage not prepared", error=type(error).__name__)
        return False
