// The operations that the page opens with.

// In headers and variables, {{accessToken}} and {{refreshToken}} stand for the session's tokens of the
// moment: what is shown, kept in the history or copied holds no token, and never an expired one.
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
# Who am I? ▶ runs it.
# Strangers are refused.
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
# Its input: see Variables, below.
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
# The panel takes up the new one.
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
# Your account's events, live:
# ▶, then sign in elsewhere.
subscription Security {
  securityEvents {
    action
    at
    ip
    userAgent
  }
}`),
];
