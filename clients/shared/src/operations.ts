import { graphql } from './gql';

// The fields that Session.begin needs from every payload that signs in a user.
export const Tokens = graphql(`
  fragment Tokens on AuthPayload { accessToken refreshToken session { id } }
`);

export const Register = graphql(`
  mutation Register($input: RegisterInput!) { register(input: $input) { auth { ...Tokens } } }
`);

export const Login = graphql(`
  mutation Login($input: LoginInput!) { login(input: $input) { ...Tokens } }
`);

export const RatePassword = graphql(`
  mutation RatePassword($input: PasswordStrengthInput!) { passwordStrength(input: $input) { score reason message } }
`);

export const RequestLoginCode = graphql(`
  mutation RequestLoginCode($input: RequestLoginCodeInput!) { requestLoginCode(input: $input) { challenge } }
`);

export const LoginWithCode = graphql(`
  mutation LoginWithCode($input: LoginWithCodeInput!) { loginWithCode(input: $input) { ...Tokens } }
`);

export const CompleteLogin = graphql(`
  mutation CompleteLogin($input: CompleteLoginInput!) { completeLogin(input: $input) { ...Tokens } }
`);

export const BeginPasskeyLogin = graphql(`
  mutation BeginPasskeyLogin { beginPasskeyLogin { challenge options } }
`);

export const LoginWithPasskey = graphql(`
  mutation LoginWithPasskey($input: LoginWithPasskeyInput!) { loginWithPasskey(input: $input) { ...Tokens } }
`);

export const RequestPasswordReset = graphql(`
  mutation RequestPasswordReset($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { accepted } }
`);

export const ResetPassword = graphql(`
  mutation ResetPassword($input: ResetPasswordInput!) { resetPassword(input: $input) { accepted } }
`);

export const RequestEmailVerification = graphql(`
  mutation RequestEmailVerification { requestEmailVerification { accepted } }
`);

export const VerifyEmail = graphql(`
  mutation VerifyEmail($input: VerifyEmailInput!) { verifyEmail(input: $input) { verified } }
`);

export const RequestEmailChange = graphql(`
  mutation RequestEmailChange($input: RequestEmailChangeInput!) { requestEmailChange(input: $input) { accepted } }
`);

export const ConfirmEmailChange = graphql(`
  mutation ConfirmEmailChange($input: ConfirmEmailChangeInput!) { confirmEmailChange(input: $input) { accepted } }
`);

export const RevertEmailChange = graphql(`
  mutation RevertEmailChange($input: RevertEmailChangeInput!) { revertEmailChange(input: $input) { accepted } }
`);

export const AcceptInvitation = graphql(`
  mutation AcceptInvitation($input: AcceptInvitationInput!) { acceptInvitation(input: $input) { ...Tokens } }
`);

export const Invitations = graphql(`
  query Invitations { invitations(first: 20) { nodes { id email roles state expiresAt invitedBy { id email } } } }
`);

export const InviteUser = graphql(`
  mutation InviteUser($input: InviteUserInput!) { inviteUser(input: $input) { invitation { id } } }
`);

export const ResendInvitation = graphql(`
  mutation ResendInvitation($input: ResendInvitationInput!) { resendInvitation(input: $input) { invitation { id } } }
`);

export const RevokeInvitation = graphql(`
  mutation RevokeInvitation($input: RevokeInvitationInput!) { revokeInvitation(input: $input) { invitation { id } } }
`);

export const Logout = graphql(`
  mutation Logout($input: LogoutInput!) { logout(input: $input) { endedSessions } }
`);

export const Reauthenticate = graphql(`
  mutation Reauthenticate($input: ReauthenticateInput!) { reauthenticate(input: $input) { ...Tokens } }
`);

export const BeginPasskeyReauthentication = graphql(`
  mutation BeginPasskeyReauthentication { beginPasskeyReauthentication { challenge options } }
`);

export const Me = graphql(`
  query Me { me { id email emailVerified username name roles createdAt } }
`);

export const UpdateProfile = graphql(`
  mutation UpdateProfile($input: UpdateProfileInput!) { updateProfile(input: $input) { id username name } }
`);

export const Sessions = graphql(`
  query Sessions {
    me { id sessions(first: 50) { totalCount nodes { id createdAt lastSeenAt ip userAgent current } } }
  }
`);

export const RevokeSession = graphql(`
  mutation RevokeSession($input: RevokeSessionInput!) { revokeSession(input: $input) { id } }
`);

export const ChangePassword = graphql(`
  mutation ChangePassword($input: ChangePasswordInput!) { changePassword(input: $input) { ...Tokens } }
`);

export const Factors = graphql(`
  query Factors { me { id factors { totpSince recoveryCodesLeft } } }
`);

export const BeginTotp = graphql(`
  mutation BeginTotp { beginTotp { secret uri qr } }
`);

export const ConfirmTotp = graphql(`
  mutation ConfirmTotp($input: ConfirmTotpInput!) { confirmTotp(input: $input) { codes } }
`);

export const DisableTotp = graphql(`
  mutation DisableTotp { disableTotp { id } }
`);

export const RegenerateRecoveryCodes = graphql(`
  mutation RegenerateRecoveryCodes { regenerateRecoveryCodes { codes } }
`);

export const Passkeys = graphql(`
  query Passkeys { me { id passkeys { id name provider backedUp createdAt lastUsedAt } } }
`);

export const BeginPasskeyRegistration = graphql(`
  mutation BeginPasskeyRegistration { beginPasskeyRegistration { challenge options } }
`);

export const FinishPasskeyRegistration = graphql(`
  mutation FinishPasskeyRegistration($input: FinishPasskeyRegistrationInput!) { finishPasskeyRegistration(input: $input) { id } }
`);

export const RenamePasskey = graphql(`
  mutation RenamePasskey($input: RenamePasskeyInput!) { renamePasskey(input: $input) { id name } }
`);

export const DeletePasskey = graphql(`
  mutation DeletePasskey($input: DeletePasskeyInput!) { deletePasskey(input: $input) { id } }
`);

export const RemovePassword = graphql(`
  mutation RemovePassword { removePassword { id } }
`);

export const ExportAccount = graphql(`
  mutation ExportAccount { exportAccount { at document } }
`);

export const DeleteAccount = graphql(`
  mutation DeleteAccount($input: DeleteAccountInput!) { deleteAccount(input: $input) { deletesAt } }
`);

export const SecurityLog = graphql(`
  query SecurityLog { me { id securityLog(first: 20) { nodes { ...SecurityEvent } } } }
`);

export const SecurityEvent = graphql(`
  fragment SecurityEvent on SecurityEvent { id action at count ip userAgent byAdministrator }
`);

export const SecurityEvents = graphql(`
  subscription SecurityEvents { securityEvents { id } }
`);
