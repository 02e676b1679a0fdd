/** The rule vocabulary. `import { rules } from 'mtls-identity'` holds the same names. */
export {
  anchor,
  certificatePolicy,
  commonName,
  dnsName,
  email,
  fingerprint,
  issuerName,
  spiffeId,
  subject,
  uri,
} from './rules/matchers.js'
export { all, any, type CustomRuleOptions, custom, not, type Rule } from './rules/rule.js'
