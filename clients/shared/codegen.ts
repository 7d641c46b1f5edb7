import type { CodegenConfig } from '@graphql-codegen/cli';
import { addTypenameSelectionDocumentTransform } from '@graphql-codegen/client-preset';

// SCHEMA can be files, the URL of /schema.graphql, or the URL of a server to introspect.
const config: CodegenConfig = {
  schema: process.env.SCHEMA ?? '../../schema/*.graphqls',
  documents: ['src/operations.ts', 'src/session.ts'],
  generates: {
    [process.env.OUT ?? 'src/gql/']: {
      preset: 'client',
      // Adds a hash to each document, and writes all documents to persisted-documents.json, for a server with
      // --trusted-documents. The server runs the text in that file, so the text must contain __typename.
      presetConfig: { fragmentMasking: false, persistedDocuments: true },
      documentTransforms: [addTypenameSelectionDocumentTransform],
      config: { scalars: { Time: 'string' }, useTypeImports: true },
    },
    // The client preset generates only the types that operations use; error codes and reasons appear in no operation.
    [(process.env.OUT ?? 'src/gql/') + 'enums.ts']: {
      plugins: ['typescript'],
      config: { onlyEnums: true, enumsAsTypes: true },
    },
  },
};

export default config;
