/**
 * `mtls-identity/oauth`: tokens that are bound to client certificates, and clients that authenticate with them (RFC 8705). It goes with any JWT
 * middleware, express-oauth2-jwt-bearer and oidc-provider, and needs none of them.
 */
export {
  type OidcContext,
  type OidcMtls,
  type OidcMtlsOptions,
  oidcMtls,
  type TlsClientAuthProperty,
  tlsClientAuthMatches,
} from './oauth/client-authentication.js'
export {
  type BoundTokenOptions,
  type ConfirmationFailure,
  confirmationFailure,
  getCertificate,
  requireBoundToken,
  requireBoundTokenKoa,
  type TokenContext,
  type TokenRequest,
} from './oauth/confirmation.js'
