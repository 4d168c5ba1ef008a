"""Functional constraints (IEC 61850-7-2 Ed. 2.1, table 19; IEC 61850-8-1 Ed. 2.1, 8.1)."""

from __future__ import annotations

from enum import StrEnum


class FC(StrEnum):
    """What a data attribute is for; in MMS it is the second part of every name.

    ``CO`` appears only in MMS (the services of controllable objects); the last seven name
    control blocks in MMS and never appear in a DataTypeTemplate.
    """

    ST = "ST"
    MX = "MX"
    SP = "SP"
    SV = "SV"
    CF = "CF"
    DC = "DC"
    SG = "SG"
    SE = "SE"
    SR = "SR"
    OR = "OR"
    BL = "BL"
    EX = "EX"
    CO = "CO"
    RP = "RP"
    BR = "BR"
    GO = "GO"
    MS = "MS"
    US = "US"
    LG = "LG"


DATA_FCS = frozenset(
    {FC.ST, FC.MX, FC.SP, FC.SV, FC.CF, FC.DC, FC.SG, FC.SE, FC.SR, FC.OR, FC.BL, FC.EX, FC.CO}
)
"""The constraints that a DA of a DataTypeTemplate may carry (SCL ``tFCEnum``)."""
