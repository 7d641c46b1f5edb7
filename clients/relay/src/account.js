// Operations of a Relay application. @refetchable requires the interface Node and the field node(id:).
import { graphql } from 'react-relay';

export const account = graphql`
  fragment account_user on User @refetchable(queryName: "accountRefetchQuery") {
    name
    sessions(first: 10) {
      edges {
        node {
          ...account_session
        }
      }
    }
  }
`;

export const session = graphql`
  fragment account_session on Session @refetchable(queryName: "accountSessionRefetchQuery") {
    ip
    userAgent
  }
`;

export const query = graphql`
  query accountQuery {
    me {
      ...account_user
    }
  }
`;

export const register = graphql`
  mutation accountRegisterMutation($input: RegisterInput!) {
    register(input: $input) {
      auth {
        accessToken
        user {
          id
        }
        session {
          id
        }
      }
    }
  }
`;
