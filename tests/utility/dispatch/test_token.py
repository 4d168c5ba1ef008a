"""What is a signed dispatch and what is not (RFC 7515, 7519, 8725)."""

import base64
import json
import subprocess

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import ConfigurationError, SignatureError
from agent.messages import RequestKind
from agent.utility.dispatch.keys import load_public_key, thumbprint
from agent.utility.dispatch.sign import load_private_key, sign
from agent.utility.dispatch.token import Order, Verifier
from tests.utility.dispatch.conftest import AUDIENCE, ISSUER, NOW, b64, claims_of, jws

PEM = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_pem(key):
    return key.public_key().public_bytes(*PEM)


def refused(verifier, token):
    with pytest.raises(SignatureError) as caught:
        verifier.authenticate(token)
    assert str(caught.value).startswith("Payload Signature Invalid: ")
    return caught.value.cause


def test_a_token_made_by_hand_is_genuine(key, verifier):
    claims = verifier.authenticate(jws(key, claims_of(7)))
    assert (claims.ctr, claims.jti) == (7, "t-7")
    assert claims.orders == (Order(RequestKind.WATT_SETPOINT, 60.0, 5000.0),)


def test_ed25519_is_the_other_algorithm():
    key = ed25519.Ed25519PrivateKey.generate()
    verifier = Verifier(key.public_key(), "EdDSA", ISSUER, AUDIENCE)
    assert verifier.authenticate(jws(key, claims_of())).ctr == 1
    other = ec.generate_private_key(ec.SECP256R1())
    assert refused(verifier, jws(other, claims_of())).startswith("algorithm")


@pytest.mark.peer
@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_a_token_signed_by_openssl_is_genuine(algorithm, tmp_path):
    private, public, text = (tmp_path / name for name in ("k.pem", "p.pem", "text"))
    kind = ["-algorithm", "ed25519"]
    if algorithm == "ES256":
        kind = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    run = subprocess.run
    run(["openssl", "genpkey", *kind, "-out", private], check=True, capture_output=True)
    run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    header, payload = json.dumps({"alg": algorithm}), json.dumps(claims_of())
    signed = f"{b64(header.encode())}.{b64(payload.encode())}"
    text.write_text(signed)
    options = ["-rawin", "-digest", "sha256"] if algorithm == "ES256" else ["-rawin"]
    command = ["openssl", "pkeyutl", "-sign", "-inkey", private, "-in", text, *options]
    signature = run(command, check=True, capture_output=True).stdout
    if algorithm == "ES256":
        r, s = utils.decode_dss_signature(signature)
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    verifier = Verifier(load_public_key(public, algorithm), algorithm, ISSUER, AUDIENCE)
    assert verifier.authenticate(f"{signed}.{b64(signature)}").jti == "t-1"


def test_what_the_tool_signs_is_genuine(key, verifier, tmp_path):
    file = tmp_path / "signer.key"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    order = Order(RequestKind.STOP, 10.0)
    token = sign(load_private_key(file), [order], issuer=ISSUER, audience=AUDIENCE)
    claims = verifier.authenticate(token)
    verifier.check_time(claims, claims.iat + 1.0)
    assert claims.orders == (order,)


def test_no_algorithm_is_no_signature(key, verifier):
    for name in ("none", "None", "NONE", "", None, 0, ["ES256"], {"ES256": 1}):
        token = jws(key, claims_of(), {"alg": name})
        assert refused(verifier, token).startswith("algorithm")
        assert refused(verifier, token.rpartition(".")[0] + ".") == (
            "malformed: not a compact JWS of at most 16 kB"
        )


def test_the_public_key_is_no_shared_secret(key, verifier):
    """The classic confusion: HMAC with the public key as its secret."""
    import hashlib
    import hmac

    for secret in (public_pem(key), public_pem(key).strip(), thumbprint(key.public_key()).encode()):
        header, payload = b64(b'{"alg":"HS256"}'), b64(json.dumps(claims_of()).encode())
        text = f"{header}.{payload}"
        mac = hmac.digest(secret, text.encode(), hashlib.sha256)
        assert refused(verifier, f"{text}.{b64(mac)}").startswith("algorithm")


@pytest.mark.parametrize("algorithm", ["ES384", "ES512", "ES256K", "RS256", "PS256", "EdDSA"])
def test_other_algorithms_are_refused_whoever_signs(algorithm, key, verifier):
    keys = {
        "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
        "ES256K": lambda: ec.generate_private_key(ec.SECP256K1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }
    signer = keys.get(algorithm, lambda: rsa.generate_private_key(65537, 2048))()
    assert refused(verifier, jwt.encode(claims_of(), signer, algorithm)).startswith("algorithm")


def test_a_key_that_comes_with_the_token_is_not_used(verifier):
    own = ec.generate_private_key(ec.SECP256R1())
    point = own.public_key().public_numbers()
    x, y = (b64(value.to_bytes(32, "big")) for value in (point.x, point.y))
    for name, value in {
        "jwk": {"kty": "EC", "crv": "P-256", "x": x, "y": y},
        "jku": "https://attacker.example/keys",
        "x5u": "https://attacker.example/chain",
        "x5c": [b64(public_pem(own))],
        "x5t": "AA",
    }.items():
        token = jws(own, claims_of(), {"alg": "ES256", name: value})
        assert refused(verifier, token) == f"header: {name!r} is not accepted"


@pytest.mark.parametrize("kid", ["../../etc/passwd", "/dev/null", "' OR 1=1 --", "", 1, ["a"]])
def test_kid_names_no_file_and_no_other_key(kid, key, verifier):
    token = jws(key, claims_of(), {"alg": "ES256", "kid": kid})
    assert "kid is not the thumbprint" in refused(verifier, token)


def test_kid_may_name_the_key_in_force(key, verifier):
    header = {"alg": "ES256", "kid": thumbprint(key.public_key()), "typ": "dispatch+jwt"}
    assert verifier.authenticate(jws(key, claims_of(), header)).ctr == 1


def test_the_thumbprint_is_that_of_rfc_8037(tmp_path):
    """RFC 8037 appendix A.3 gives an Ed25519 key and its thumbprint."""
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    raw = base64.urlsafe_b64decode(x + "=")
    key = ed25519.Ed25519PublicKey.from_public_bytes(raw)
    assert thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_extensions_that_change_what_is_signed_are_refused(key, verifier):
    for more in ({"crit": ["b64"], "b64": False}, {"crit": ["exp"]}, {"b64": False}, {"zip": "D"}):
        cause = refused(verifier, jws(key, claims_of(), {"alg": "ES256", **more}))
        assert cause.endswith("is not accepted")
    cause = refused(verifier, jws(key, claims_of(), {"alg": "ES256", "typ": "at+jwt"}))
    assert cause == "header: typ must be dispatch+jwt"


def test_another_signer_is_refused(verifier):
    other = ec.generate_private_key(ec.SECP256R1())
    assert refused(verifier, jws(other, claims_of())).startswith("signature")


def test_claims_are_complete_and_nothing_else(key, verifier):
    for name in claims_of():
        claims = claims_of()
        del claims[name]
        assert refused(verifier, jws(key, claims)).startswith("claims")
    for change in (
        {"iss": "somebody"},
        {"aud": "V2G2"},
        {"aud": ["V2G2", "V2G3"]},
        {"ctr": 0},
        {"ctr": "7"},
        {"ctr": 1.5},
        {"ctr": True},
        {"jti": ""},
        {"jti": "x" * 65},
        {"jti": "a b"},
        {"orders": []},
        {"orders": [{"kind": "watt-setpoint", "lease_s": 1.0}] * 65},
        {"exp": NOW + 61},
        {"exp": NOW - 1},
        {"nbf": NOW + 31},
        {"extra": 1},
    ):
        assert refused(verifier, jws(key, claims_of(**change))).startswith("claims")
    assert verifier.authenticate(jws(key, claims_of(aud=["V2G2", "V2G1"])))


def test_orders_are_complete_bounded_and_nothing_else(key, verifier):
    good = {"kind": "watt-limit", "value": 1.0, "lease_s": 60.0}
    for change in (
        {"kind": "explode"},
        {"lease_s": 0},
        {"lease_s": -1},
        {"lease_s": 86401},
        {"value": "5000"},
        {"value": None},
        {"target": ""},
        {"target": 1},
        {"authority": 0},
    ):
        token = jws(key, claims_of(orders=[{**good, **change}]))
        assert refused(verifier, token).startswith("claims")


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400, "[" * 9 + "]" * 9]
)
def test_what_is_no_finite_number_is_refused_though_signed(value, key, verifier):
    text = json.dumps(claims_of()).replace("5000.0", value)
    assert refused(verifier, jws(key, None, payload=text.encode())).startswith("claims")


def test_a_member_that_comes_twice_is_refused(key, verifier):
    text = json.dumps(claims_of())
    twice = text[:-1] + ',"ctr":99}'
    assert "'ctr' comes twice" in refused(verifier, jws(key, None, payload=twice.encode()))
    header = b64(b'{"alg":"none","alg":"ES256"}')
    token = f"{header}.{jws(key, claims_of()).partition('.')[2]}"
    assert "'alg' comes twice" in refused(verifier, token)


def test_only_the_compact_serialisation_is_read(key, verifier):
    token = jws(key, claims_of())
    header, payload, signature = token.split(".")
    flat = json.dumps({"protected": header, "payload": payload, "signature": signature})
    long = jws(key, claims_of(orders=[{"kind": "stop", "lease_s": 1}], jti="x" * 20000))
    for text in (flat, token + "=", f" {token}", f"{token}\n", f"{token}.{signature}", "", long):
        assert refused(verifier, text).startswith("malformed")


def test_times_are_checked_with_a_bounded_skew(verifier, key):
    claims = verifier.authenticate(jws(key, claims_of()))
    for now in (NOW - 5.0, NOW, NOW + 29.9, NOW + 34.9):
        verifier.check_time(claims, now)
    for now in (NOW - 5.1, NOW + 35.0, NOW - 3600.0, NOW + 3600.0):
        with pytest.raises(SignatureError, match=r"clock skew: .*timedatectl set-ntp true"):
            verifier.check_time(claims, now)
    longest = verifier.authenticate(jws(key, claims_of(exp=NOW + 60)))
    verifier.check_time(longest, NOW)
    with pytest.raises(SignatureError, match="would live 61"):
        verifier.check_time(longest, NOW - 1.0)


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 10_000), character=st.characters(max_codepoint=0x17F))
def test_no_change_of_a_token_changes_what_it_says(at, character, key, verifier):
    token = jws(key, claims_of())
    at %= len(token)
    changed = token[:at] + character + token[at + 1 :]
    try:
        claims = verifier.authenticate(changed)
    except SignatureError:
        return
    # base64url leaves unused bits at the end of the signature: the same token in another dress
    assert claims == verifier.authenticate(token)


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(st.text(), st.from_regex(r"\A[\w-]{1,40}\.[\w-]{0,40}\.[\w-]{0,90}\Z")))
def test_any_text_is_refused_and_nothing_else_happens(text, verifier):
    refused(verifier, text)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_the_key_must_be_of_the_configured_kind(algorithm, tmp_path, key):
    file = tmp_path / "key.pem"
    wrong = {
        "ES256": ed25519.Ed25519PrivateKey.generate(),
        "EdDSA": ec.generate_private_key(ec.SECP256R1()),
    }[algorithm]
    contents = [
        public_pem(wrong),
        public_pem(ec.generate_private_key(ec.SECP384R1())),
        public_pem(rsa.generate_private_key(65537, 2048)),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        b"no key",
    ]
    for content in contents:
        file.write_bytes(content)
        with pytest.raises(ConfigurationError, match=str(file)):
            load_public_key(file, algorithm)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_public_key(tmp_path / "none.pem", algorithm)
