import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// During development, vite forwards requests to the server, so that page and server have one origin.
export default defineConfig({
  plugins: [react()],
  build: { target: 'safari15' },
  server: { proxy: { '/graphql': { target: process.env.GRAPHWARDEN_URL ?? 'http://127.0.0.1:8080', ws: true } } },
});
