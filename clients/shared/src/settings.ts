// What the page's index.html says of the server, so that one build serves every environment. A page with
// one server can do with constants.
import type { TokenDelivery } from './gql/enums';

const setting = (name: string) => document.querySelector<HTMLMetaElement>(`meta[name="graphwarden:${name}"]`)!.content;

export const url = setting('url');
export const delivery = setting('delivery') as TokenDelivery;
// Whether documents are sent by their hash alone.
export const trusted = setting('documents') === 'trusted';
