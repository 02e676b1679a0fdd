/** The rule vocabulary. `import { rules } from 'mtls-identity'` holds the same names. */
export { dnsName, email, ip, upn, uri } from './rules/alternative-name-matchers.js'
export {
  certificatePolicy,
  extendedKeyUsage,
  extension,
  fingerprint,
  keyAlgorithm,
  maximumLifetime,
  publicKeyPin,
  validFor,
} from './rules/certificate-matchers.js'
export { all, any, deny, not } from './rules/combinators.js'
export { type CustomRuleOptions, custom } from './rules/custom.js'
export { type DocumentRule, document, type RuleFile } from './rules/document-rule.js'
export { anchor, issuedBy, serialNumber } from './rules/issuer-matchers.js'
export { type ListedContent, type ListedRule, type ListedSource, listed } from './rules/listed.js'
export { type AttributeSubset, commonName, directoryName, issuerName, subject } from './rules/name-matchers.js'
export type { Rule, RuleOutcome, RuleReason } from './rules/rule.js'
export type { DocumentOptions, RuleCondition, RuleDocument, RuleIdentity } from './rules/rule-document.js'
export { spiffeId, trustDomain } from './rules/spiffe-matchers.js'
