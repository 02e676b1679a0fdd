export { channels, type MtlsIdentityChannels } from './channels.js'
export type { AuditEvent, DecisionDurations } from './core/audit.js'
export { createAuthenticator } from './core/authenticator.js'
export type {
  CandidateDifference,
  CandidateEvent,
  CandidateReport,
  DifferenceKind,
  DifferingIdentity,
} from './core/candidate-report.js'
export type { Authenticator } from './core/contract.js'
export type { DangerousSwitch } from './core/dangers.js'
export { type Decision, explain } from './core/decision.js'
export type { PolicyDescription } from './core/describe.js'
export type { AppliedException, CertificateException, Exceptions, Ignorable } from './core/exceptions.js'
export type { LogFunction } from './core/log.js'
export type { ClientCertOptions, MountOptions } from './core/mount.js'
export type { AuthenticatorOptions, CandidateOptions, DecisionContext } from './core/options.js'
export type { AnchorDescription, CertificateDescription, Policy } from './core/policy.js'
export type { PrincipalSource } from './core/principal.js'
export type { ResponseOptions } from './core/responses.js'
export type { SpoofingEvent } from './core/spoofing.js'
export type { Description, Plain } from './description.js'
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
export type { EventChannel } from './event-channels.js'
export type { IdentityNames, PublicKeyDescription } from './identity/fields.js'
export type { CertificateSummary, ClientIdentity, Principal, Register } from './identity/identity.js'
export { type SpiffeBundle, type SpiffeBundleOptions, spiffeBundles } from './identity/spiffe-bundles.js'
export { SpiffeId } from './identity/spiffe-id.js'
export type { AnchorReport, RemovalReason } from './ledger/anchor-report.js'
export type { ExpiryOptions } from './ledger/expiry.js'
export type { CertificateFacts, IdentityEvent, Shortfall } from './ledger/identity-events.js'
export type { CertificateReport, ReportOptions, RotationReport, WayReport } from './ledger/rotation-report.js'
export type { CertificationPath } from './path/certification-path.js'
export type { NextStandard } from './path/next-standard.js'
export type { PathProfile } from './path/profile.js'
export type { LoadContext } from './refresher.js'
export { type AllowUnknownOptions, allowUnknown, type LenientChecker } from './revocation/allow-unknown.js'
export type {
  CertificateChecker,
  CertificateStatus,
  ManagedChecker,
  StatusQuestion,
} from './revocation/certificate-status.js'
export type { RevocationChecker, RevocationContext, RevocationStatus } from './revocation/checker.js'
export { crl } from './revocation/crl-checker.js'
export type { CrlOptions } from './revocation/crl-options.js'
export type { DenyEntry } from './revocation/deny-entries.js'
export { type DenyList, type DenyListOptions, denyList } from './revocation/deny-list.js'
export {
  createDocumentFetcher,
  type DocumentFetcher,
  type DocumentRequest,
  FetchError,
  type FetchedDocument,
  type FetcherOptions,
  type FetchFailure,
  type FetchFailureDetail,
  type FetchPhase,
} from './revocation/document-fetcher.js'
export type { CrlSummary, RevocationEvent } from './revocation/events.js'
export { firstDefinite } from './revocation/first-definite.js'
export { ocsp } from './revocation/ocsp-checker.js'
export type { OcspOptions } from './revocation/ocsp-options.js'
export { type SkipShortLivedOptions, skipShortLived } from './revocation/short-lived.js'
export type { CustomRuleOptions } from './rules/custom.js'
export type { RuleFile } from './rules/document-rule.js'
export type { Rule, RuleOutcome, RuleReason, RuleRequest } from './rules/rule.js'
export type { RuleDocument } from './rules/rule-document.js'
export * as rules from './rules.js'
export type { ConnectionEvent } from './server/connection-events.js'
export { type EnforcedTlsOptions, tlsServerOptions } from './server/server-options.js'
export { authenticateUpgrade, type UpgradeOptions, type UpgradingServer } from './server/upgrade.js'
export { type ByPeerOptions, byPeer } from './source/by-peer.js'
export { DecodingError, type HeaderDecoder } from './source/decoding.js'
export { type ForwardedHeaderSource, forwardedHeader } from './source/forwarded-header.js'
export type { ForwardedHeaderNames, ForwardedHeaderOptions } from './source/forwarded-options.js'
export { allOf, anyOf } from './source/gate-combinators.js'
export { platformNetwork } from './source/platform-network.js'
export type { PresetName } from './source/presets.js'
export { type ProxyPins, proxyCertificate, type SocketAuthenticator } from './source/proxy-certificate.js'
export { type ProxySecretGate, type ProxySecretOptions, proxySecret } from './source/proxy-secret.js'
export type { AnyRequest, CertificateSource, PresentedChain, Reading } from './source/source.js'
export { type TlsSocketSource, tlsSocket } from './source/tls-socket.js'
export { proxyAddress, type SynchronousGate, type TrustedProxy } from './source/trusted-proxy.js'
export { unixSocket } from './source/unix-socket.js'
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
