// Settings from the page's index.html, so that one build serves every environment. A page with a single server can use
// constants instead.
import type { TokenDelivery } from './gql/enums';

const setting = (name: string) => document.querySelector<HTMLMetaElement>(`meta[name="graphwarden:${name}"]`)!.content;

export const url = setting('url');
export const delivery = setting('delivery') as TokenDelivery;
// Whether to send only the hashes of documents.
export const trusted = setting('documents') === 'trusted';
