"""Notes in DynamoDB.

All are in one partition, which sorts them by their ids, so that a page is one query. A partition takes 1000 writes and
3000 reads a second of items up to 1 KB and 4 KB: for more, take a key that spreads them, such as their owner, and list
the notes of one owner.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec import convert, to_builtins

from .....extensions.dynamodb import client, table
from . import Note

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import CreateTableInputTypeDef

TABLES: list["CreateTableInputTypeDef"] = [
    {
        "TableName": "notes",
        "KeySchema": [{"AttributeName": "shelf", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("shelf", "id")],
    }
]
SHELF = {"S": "all"}


def add(note: Note) -> None:
    client().put_item(TableName=table("notes"), Item=as_item(note))


def get(note_id: UUID) -> Note | None:
    # A read that is not consistent is cheaper by half, and may miss what was just written.
    found = client().get_item(TableName=table("notes"), Key=as_key(note_id), ConsistentRead=True)
    return as_note(found["Item"]) if "Item" in found else None


def after(note_id: UUID | None, limit: int) -> Sequence[Note]:
    query = client().get_paginator("query")  # An answer has at most 1 MB.
    pages = query.paginate(
        TableName=table("notes"),
        KeyConditionExpression="shelf = :shelf AND id > :id",
        ExpressionAttributeValues={":shelf": SHELF, ":id": {"S": str(note_id or UUID(int=0))}},
        ConsistentRead=True,
        PaginationConfig={"MaxItems": limit, "PageSize": limit},
    )
    return [as_note(item) for page in pages for item in page["Items"]]


def replace(old: Note, new: Note) -> bool:
    return as_read(old, client().put_item, Item=as_item(new))


def remove(old: Note) -> bool:
    return as_read(old, client().delete_item, Key=as_key(old.id))


def as_read(old: Note, write: Callable[..., Any], **arguments: Any) -> bool:
    """Write if the note is still as it was read. After a lost answer, the second attempt of boto3 returns False."""
    version = {":version": {"N": str(old.version)}}
    arguments |= {"ConditionExpression": "version = :version", "ExpressionAttributeValues": version}
    try:
        write(TableName=table("notes"), **arguments)
    except client().exceptions.ConditionalCheckFailedException:
        return False
    return True


def as_key(note_id: UUID) -> dict[str, Any]:
    return {"shelf": SHELF, "id": {"S": str(note_id)}}


def as_item(note: Note) -> dict[str, Any]:
    # Emulators from before 2020 refuse an empty text.
    values = {name: value for name, value in to_builtins(note).items() if value != ""}
    return {"shelf": SHELF} | {name: {"N" if name == "version" else "S": str(values[name])} for name in values}


def as_note(item: Any) -> Note:
    values = {name: text for name, typed in item.items() for text in typed.values()}
    return convert({"text": ""} | values, Note, strict=False)
