// The operations in the initial tabs.

// In headers and variables, {{accessToken}} and {{refreshToken}} are placeholders for the session's current tokens. So
// tabs, history and copies contain no tokens, and requests never send an expired one.
export const headers = `{
  "Authorization": "Bearer {{accessToken}}"
}`;

const tab = (query, variables) => ({
  query: `${query.trim()}\n`,
  variables: variables && JSON.stringify(variables, null, 2),
  headers,
});

const account = { email: 'ada@example.com', password: 'correct horse battery' };

export const operations = [
  tab(`
# Your account. Press ▶.
# Sign in first.
query Me {
  me {
    email
    roles
    createdAt
    sessions {
      nodes {
        ip
        userAgent
        current
      }
    }
  }
}`),
  tab(`
# Edit the input in Variables below.
mutation Register($input: RegisterInput!) {
  register(input: $input) {
    auth {
      accessToken
      refreshToken
      user {
        email
        roles
      }
    }
  }
}`, { input: account }),
  tab(`
mutation Login($input: LoginInput!) {
  login(input: $input) {
    accessToken
    refreshToken
    expiresIn
    user {
      email
    }
  }
}`, { input: account }),
  tab(`
# Each refresh token works once.
# The panel adopts the new one.
mutation Refresh($input: RefreshTokenInput!) {
  refreshToken(input: $input) {
    accessToken
    refreshToken
    expiresIn
    user {
      email
    }
  }
}`, { input: { refreshToken: '{{refreshToken}}' } }),
  tab(`
# Live events of your account:
# press ▶, then sign in again.
subscription Security {
  securityEvents {
    action
    at
    ip
    userAgent
  }
}`),
];
