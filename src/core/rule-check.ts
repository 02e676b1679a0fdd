import { hash } from 'node:crypto'
import { partsOf, type Rule } from '../rules/rule.js'
import type { TrustSnapshot } from '../trust/trust-snapshot.js'

const checked = new WeakSet<Rule>()

/**
 * Warns once of a rule that names a subject and not whose, where several CAs are trusted: each of them can issue a certificate with that name
 * (Keycloak's CVE-2023-2422 was that). Anchors with one key are one CA.
 */
export function checkRuleBinding(rule: Rule, { anchors, bindsNames }: TrustSnapshot): void {
  if (bindsNames || checked.has(rule)) return
  checked.add(rule)
  const [first, ...others] = partsOf(rule).unbound
  if (first === undefined || anchors.length < 2) return
  const keys = new Set(anchors.map(({ certificate }) => hash('sha256', certificate.publicKey.der, 'base64')))
  if (keys.size < 2) return
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`
  process.emitWarning(
    `rules: ${first}${more} names a client but not its CA, and ${keys.size} CAs are trusted: each of them can issue that name — all(issuedBy(ca), …) or all(anchor("name"), …)`,
    { type: 'MtlsIdentityWarning', code: 'MTLS_UNBOUND_RULE' },
  )
}
