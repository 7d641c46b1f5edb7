// A developer's first page: Vite on port 5173, and the server in its default configuration.
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';

const uri = new URLSearchParams(location.search).get('api') ?? 'http://127.0.0.1:8080/graphql';
const input = { email: `user-${crypto.randomUUID()}@example.com`, password: 'correct horse battery' };
const REGISTER = gql`mutation ($input: RegisterInput!) { register(input: $input) { auth { accessToken } } }`;
const LOGIN = gql`mutation ($input: LoginInput!) { login(input: $input) { accessToken } }`;

let token = '';
const link = new HttpLink({ uri, fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...(token && { Authorization: `Bearer ${token}` }) } }) });
const client = new ApolloClient({ link, cache: new InMemoryCache() });
await client.mutate({ mutation: REGISTER, variables: { input } });
token = (await client.mutate({ mutation: LOGIN, variables: { input } })).data.login.accessToken;
const { data } = await client.query({ query: gql`{ me { email roles } }` });
document.querySelector('#out').textContent = data.me.email === input.email ? 'signed in' : JSON.stringify(data);
