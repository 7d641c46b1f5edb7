'use strict';
const at = (id) => document.getElementById(id);

// The token stays in this page's memory: what a page stores, every script of its origin can read.
const findToken = (value) => {
  if (value === null || typeof value !== 'object') return undefined;
  if (typeof value.accessToken === 'string') return value.accessToken;
  return Object.values(value).map(findToken).find(Boolean);
};

at('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const headers = { 'Content-Type': 'application/json', Accept: 'application/graphql-response+json' };
  if (at('token').value) headers.Authorization = `Bearer ${at('token').value}`;
  try {
    const body = JSON.stringify({ query: at('query').value, variables: JSON.parse(at('variables').value || '{}') });
    const response = await fetch('/graphql', { method: 'POST', headers, body });
    const answer = await response.json();
    at('answer').textContent = `HTTP ${response.status}\n${JSON.stringify(answer, null, 2)}`;
    at('token').value = findToken(answer.data) ?? at('token').value;
  } catch (error) {
    at('answer').textContent = String(error);
  }
});
