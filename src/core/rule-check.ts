import { hash } from 'node:crypto'
import { partsOf, type Rule } from '../rules/rule.js'
import type { TrustAnchor, TrustSnapshot } from '../trust/trust-snapshot.js'
import { warn } from '../warn.js'

const checked = new WeakSet<Rule>()
/** By the list of anchors, which a snapshot never changes: guards ask on every request. */
const keys = new WeakMap<readonly TrustAnchor[], number>()

function countOfKeys(anchors: readonly TrustAnchor[]): number {
  const known = keys.get(anchors)
  if (known !== undefined) return known
  const found = new Set(anchors.map(({ certificate }) => hash('sha256', certificate.publicKey.der, 'base64'))).size
  keys.set(anchors, found)
  return found
}

/**
 * Warns once of a rule that names a subject and not whose, where several CAs are trusted: each of them can issue a certificate with that name
 * (Keycloak's CVE-2023-2422 was that). Anchors with one key are one CA.
 */
export function checkRuleBinding(rule: Rule, { anchors, bindsNames }: TrustSnapshot): void {
  const [first, ...others] = partsOf(rule).unbound
  if (first === undefined || anchors.length < 2 || bindsNames || checked.has(rule)) return
  const count = countOfKeys(anchors)
  if (count < 2) return
  checked.add(rule)
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`
  warn(
    'MTLS_UNBOUND_RULE',
    `rules: ${first}${more} names a client but not its CA, and ${count} CAs are trusted: each of them can issue that name — all(issuedBy(ca), …) or all(anchor("name"), …)`,
  )
}
