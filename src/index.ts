export {
  type Authenticator,
  createAuthenticator,
} from './core/authenticator.js'
export type { Decision } from './core/decision.js'
export type { LogFunction } from './core/log.js'
export type { ClientCertOptions, MountOptions, ResponseOptions } from './core/mount.js'
export type { AuthenticatorOptions } from './core/options.js'
export { type EnforcedTlsOptions, tlsServerOptions } from './core/server-options.js'
export {
  type AbsentDetail,
  type AnyClientCertError,
  ClientCertConfigError,
  ClientCertError,
  type ClientCertErrorCode,
  type ClientCertErrorDetails,
  type ErrorRow,
  errorTable,
  isClientCertError,
  type KeyUsageDetail,
  type RuleDetail,
  type UnknownIssuerDetail,
} from './errors.js'
export type {
  CertificateSummary,
  ClientIdentity,
  IdentityNames,
  Principal,
  Register,
} from './identity/identity.js'
export { SpiffeId } from './identity/spiffe-id.js'
export type { CertificationPath } from './path/certification-path.js'
export type { PathProfile } from './path/profile.js'
export type { LoadContext } from './refresher.js'
export type { RevocationChecker, RevocationStatus } from './revocation/checker.js'
export type { CustomRuleOptions, Rule, RuleRequest } from './rules/rule.js'
export * as rules from './rules.js'
export { type ForwardedHeaderOptions, forwardedHeader } from './source/forwarded-header.js'
export type { PresetName } from './source/presets.js'
export type { AnyRequest, CertificateSource, PresentedChain, Reading } from './source/source.js'
export { tlsSocket } from './source/tls-socket.js'
export { proxyAddress, type TrustedProxy } from './source/trusted-proxy.js'
export type { Trust, TrustSource } from './trust/trust-option.js'
export type { TrustAnchor, TrustSnapshot } from './trust/trust-snapshot.js'
export {
  type ReloadEvent,
  type ReloadListener,
  type ReloadResult,
  type TrustContent,
  type TrustProviderOptions,
  TrustStore,
  type TrustStoreOptions,
} from './trust/trust-store.js'
export type { Certificate } from './x509/certificate.js'
export { type AttributeTypeAndValue, DistinguishedName } from './x509/name.js'
