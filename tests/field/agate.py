"""A battery gateway in service (FranklinWH aGate) as its owner published it.

Values and addresses of models 702 and 704 are those of a cross-reference of the maker's conformance
statement with readings at the device (public repository david2069/franklinwh-modbus, 2026-03);
the chain starts at register 0. Of other models only what a reader needs is here, and is ours.
`WMax` reads 0 there and `LocRemCtl` 1, although the device carries out `WSet`.
"""

ADDRESSES = {
    (702, "WMaxRtg"): 227, (702, "VAMaxRtg"): 232, (702, "VarMaxInjRtg"): 233,
    (702, "WChaRteMaxRtg"): 235, (702, "WDisChaRteMaxRtg"): 236, (702, "CtrlModes"): 248,
    (702, "WMax"): 251, (702, "WChaRteMax"): 259, (704, "PFWInjEna"): 298,
    (704, "WMaxLimPctEna"): 310, (704, "WSetEna"): 318, (704, "WSetMod"): 319, (704, "WSet"): 320,
    (704, "WSetRvrt"): 322, (704, "WSetPct"): 324, (704, "WSetEnaRvrt"): 326,
    (704, "WSetRvrtTms"): 327, (704, "WSetRvrtRem"): 329, (704, "VarSetEna"): 331,
    (704, "VarSet"): 334, (704, "WRmp"): 345,
}  # fmt: skip

COMMON = {"ID": 1, "Mn": "FranklinWH", "Md": "aGate", "Vr": "1", "SN": "0", "DA": 1}
MEASURED = {
    "ID": 701, "ACType": 2, "St": 1, "InvSt": 3, "ConnSt": 1, "Alrm": 0, "W": 0, "VA": 0, "Var": 0,
    "A": 0, "LLV": 2420, "LNV": 1210, "Hz": 50010, "A_SF": -1, "V_SF": -1, "Hz_SF": -3, "W_SF": 0,
    "VA_SF": 0, "Var_SF": 0,
}  # fmt: skip
CAPACITY = {
    "ID": 702, "WMaxRtg": 10000, "VAMaxRtg": 11600, "VarMaxInjRtg": 5880, "VarMaxAbsRtg": 5880,
    "WChaRteMaxRtg": 10000, "WDisChaRteMaxRtg": 10000, "CtrlModes": 14271, "WMax": 0,
    "W_SF": 0, "VA_SF": 0, "Var_SF": 0,
}  # fmt: skip
ENTER_SERVICE = {"ID": 703, "ES": 1, "V_SF": -1, "Hz_SF": -2}
CONTROLS = {
    "ID": 704, "PFWInjEna": 0, "WMaxLimPctEna": 0, "WMaxLimPct": 1000, "WSetEna": 0, "WSetMod": 1,
    "WSet": 0, "WSetRvrt": 0, "WSetPct": 0, "WSetPctRvrt": 0, "WSetEnaRvrt": 0, "WSetRvrtTms": 0,
    "WSetRvrtRem": 0, "VarSetEna": 0, "VarSetMod": 1, "VarSetPri": 2, "VarSet": 0,
    "WMaxLimPct_SF": -1, "WSet_SF": 0, "WSetPct_SF": -1, "VarSet_SF": 0,
}  # fmt: skip
LIFECYCLE = {"ID": 715, "LocRemCtl": 1, "DERHb": 0, "ControllerHb": 0, "AlarmReset": 0, "OpCtl": 1}


def models(*, local, w_max, remaining_s=0):
    """Return the models.

    Args:
        local: Whether somebody at the device has control.
        w_max: Its largest power; None where it is not set.
        remaining_s: What its reversion timer shows; None where it shows nothing.
    """
    return [
        COMMON, MEASURED, CAPACITY | {"WMax": w_max}, ENTER_SERVICE,
        CONTROLS | {"WSetRvrtRem": remaining_s}, LIFECYCLE | {"LocRemCtl": int(local)},
    ]  # fmt: skip
