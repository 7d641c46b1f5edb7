import type { CodegenConfig } from '@graphql-codegen/cli';

// SCHEMA can be any form of the schema: files, the URL of /schema.graphql, or a server that is introspected.
const config: CodegenConfig = {
  schema: process.env.SCHEMA ?? '../../schema/*.graphqls',
  documents: ['src/operations.ts'],
  generates: {
    [process.env.OUT ?? 'src/gql/']: {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
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
