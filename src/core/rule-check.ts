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

/** Whether a rule names a client and not its CA, where each of several could issue that name. Anchors with one key are one CA. */
export function isUnbound(rule: Rule, { anchors, bindsNames }: TrustSnapshot): boolean {
  return partsOf(rule).unbound.length > 0 && anchors.length > 1 && !bindsNames && countOfKeys(anchors) > 1
}

/**
 * Warns once of a rule that names a subject and not whose, where several CAs are trusted: each of them can issue a certificate with that name
 * (Keycloak's CVE-2023-2422 was that).
 */
export function checkRuleBinding(rule: Rule, trust: TrustSnapshot): void {
  if (checked.has(rule) || !isUnbound(rule, trust)) return
  checked.add(rule)
  const [first, ...others] = partsOf(rule).unbound
  const count = countOfKeys(trust.anchors)
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`
  warn(
    'MTLS_UNBOUND_RULE',
    `rules: ${first}${more} names a client but not its CA, and ${count} CAs are trusted: each of them can issue that name — all(issuedBy(ca), …) or all(anchor("name"), …)`,
  )
}
