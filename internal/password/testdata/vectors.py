#!/usr/bin/env python3
"""Prints the vectors of password_test.go, made by the programs whose forms they have.

Debian 12: apt-get install python3-django python3-passlib python3-werkzeug python3-argon2 python3-bcrypt
What those versions cannot write yet (scrypt of Django 4 and Werkzeug 2.3) and what comes from .NET and Firebase
is put together from hashlib and openssl.
"""
import base64, hashlib, struct, subprocess

from django.conf import settings
settings.configure()
from django.contrib.auth import hashers as django
from passlib import hash as passlib
from werkzeug.security import generate_password_hash

PASSWORD = 'correct horse battery'
SALT = 'seasoned12345678901234'
RAW = b'seasoned\xff\xfe\xfd12345'

print(django.PBKDF2PasswordHasher().encode(PASSWORD, SALT, 1000))
print(django.PBKDF2SHA1PasswordHasher().encode(PASSWORD, SALT, 1000))
argon2 = django.Argon2PasswordHasher()
argon2.time_cost, argon2.memory_cost, argon2.parallelism = 1, 64, 2
print(argon2.encode(PASSWORD, SALT))
print(django.BCryptSHA256PasswordHasher().encode(PASSWORD, b'$2b$04$abcdefghijklmnopqrstuu'))
print(django.BCryptPasswordHasher().encode(PASSWORD, b'$2b$04$abcdefghijklmnopqrstuu'))
scrypt = hashlib.scrypt(PASSWORD.encode(), salt=SALT.encode(), n=16, r=2, p=3, dklen=64)
print('scrypt$16$%s$2$3$%s' % (SALT, base64.b64encode(scrypt).decode()))
for name in 'pbkdf2_sha1', 'pbkdf2_sha256', 'pbkdf2_sha512', 'ldap_pbkdf2_sha1', 'ldap_pbkdf2_sha256', 'ldap_pbkdf2_sha512':
    print(getattr(passlib, name).using(salt=RAW, rounds=1000).hash(PASSWORD))
print(passlib.scrypt.using(salt=RAW, rounds=4, block_size=2, parallelism=3).hash(PASSWORD))
for method in 'pbkdf2:sha1:1000', 'pbkdf2:sha256:1000', 'pbkdf2:sha512:1000':
    print(generate_password_hash(PASSWORD, method, 8))
print('scrypt:16:2:3$salty$' + hashlib.scrypt(PASSWORD.encode(), salt=b'salty', n=16, r=2, p=3, dklen=64).hex())

salt = bytes(range(16))
for number, name in enumerate(('sha1', 'sha256', 'sha512')):
    key = hashlib.pbkdf2_hmac(name, PASSWORD.encode(), salt, 1000, 32)
    print(base64.b64encode(b'\x01' + struct.pack('>III', number, 1000, len(salt)) + salt + key).decode())
print(base64.b64encode(b'\x00' + salt + hashlib.pbkdf2_hmac('sha1', PASSWORD.encode(), salt, 1000, 32)).decode())

# The key, the salt and, for the password user1password and 14, 8, the result are of Firebase's own example:
# https://github.com/firebase/scrypt.
SIGNER = 'jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=='
for password, n, r in ('user1password', 14, 8), (PASSWORD, 4, 2):
    key = hashlib.scrypt(password.encode(), salt=base64.b64decode('42xEC+ixf3L2lw==') + b'\7', n=1 << n, r=r, p=1, dklen=32, maxmem=1 << 28)
    out = subprocess.run(['openssl', 'enc', '-aes-256-ctr', '-K', key.hex(), '-iv', '0' * 32],
                         input=base64.b64decode(SIGNER), capture_output=True, check=True).stdout
    print('$fbscrypt$v=1,n=%d,r=%d,p=1,ss=Bw==,sk=%s$42xEC+ixf3L2lw==$%s' % (n, r, SIGNER, base64.b64encode(out).decode()))
