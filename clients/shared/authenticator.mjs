// Chromium's virtual authenticator (WebAuthn.addVirtualAuthenticator of its DevTools protocol).

// attach adds one to a page. It touches itself, and verifies its user unless told otherwise.
export async function attach(page, { verifies = true } = {}) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('WebAuthn.enable');
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true,
      hasUserVerification: verifies, isUserVerified: verifies, automaticPresenceSimulation: true,
    },
  });
  const send = (method, parameters) => devtools.send(`WebAuthn.${method}`, { authenticatorId, ...parameters });
  return {
    credentials: async () => (await send('getCredentials')).credentials,
    add: (credential) => send('addCredential', { credential }),
    clear: () => send('clearCredentials'),
    remove: () => send('removeVirtualAuthenticator'),
  };
}
