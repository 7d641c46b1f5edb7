import type { CodegenConfig } from '@graphql-codegen/cli';
import { addTypenameSelectionDocumentTransform } from '@graphql-codegen/client-preset';

// SCHEMA can be any form of the schema: files, the URL of /schema.graphql, or a server that is introspected.
const config: CodegenConfig = {
  schema: process.env.SCHEMA ?? '../../schema/*.graphqls',
  documents: ['src/operations.ts', 'src/session.ts'],
  generates: {
    [process.env.OUT ?? 'src/gql/']: {
      preset: 'client',
      // Each document gets its hash, and all of them go into persisted-documents.json: what a server with
      // --trusted-documents reads. The server's text is what runs, so __typename has to be in it.
      presetConfig: { fragmentMasking: false, persistedDocuments: true },
      documentTransforms: [addTypenameSelectionDocumentTransform],
      config: { scalars: { Time: 'string' }, useTypeImports: true },
    },
    // The client preset writes only what operations use; codes and reasons come in errors.
    [(process.env.OUT ?? 'src/gql/') + 'enums.ts']: {
      plugins: ['typescript'],
      config: { onlyEnums: true, enumsAsTypes: true },
    },
  },
};

export default config;
