export type { AuditEvent, DecisionDurations } from './core/audit.js'
export {
  type Authenticator,
  createAuthenticator,
} from './core/authenticator.js'
export { type Decision, explain } from './core/decision.js'
export type { AppliedException, CertificateException, Exceptions, Ignorable } from './core/exceptions.js'
export type { LogFunction } from './core/log.js'
export type { ClientCertOptions, MountOptions } from './core/mount.js'
export type { AuthenticatorOptions, DecisionContext } from './core/options.js'
export type { PrincipalSource } from './core/principal.js'
export type { ResponseOptions } from './core/responses.js'
export { type EnforcedTlsOptions, tlsServerOptions } from './core/server-options.js'
export { authenticateUpgrade, type UpgradeOptions, type UpgradingServer } from './core/upgrade.js'
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
  PublicKeyDescription,
  Register,
} from './identity/identity.js'
export { type SpiffeBundle, type SpiffeBundleOptions, spiffeBundles } from './identity/spiffe-bundles.js'
export { SpiffeId } from './identity/spiffe-id.js'
export type { CertificationPath } from './path/certification-path.js'
export type { PathProfile } from './path/profile.js'
export type { RevocationChecker, RevocationStatus } from './revocation/checker.js'
export type { CustomRuleOptions } from './rules/custom.js'
export type { RuleFile } from './rules/document-rule.js'
export type { Rule, RuleOutcome, RuleReason, RuleRequest } from './rules/rule.js'
export type { RuleDocument } from './rules/rule-document.js'
export * as rules from './rules.js'
export { type ForwardedHeaderOptions, forwardedHeader } from './source/forwarded-header.js'
export type { PresetName } from './source/presets.js'
export type { AnyRequest, CertificateSource, PresentedChain, Reading } from './source/source.js'
export { tlsSocket } from './source/tls-socket.js'
export { proxyAddress, type TrustedProxy } from './source/trusted-proxy.js'
export type { Trust, TrustSource } from './trust/trust-option.js'
export type { TrustAnchor, TrustSnapshot } from './trust/trust-snapshot.js'
export { type ReloadListener, type ReloadResult, TrustStore } from './trust/trust-store.js'
export type { Certificate } from './x509/certificate.js'
export { type AttributeTypeAndValue, DistinguishedName } from './x509/name.js'
