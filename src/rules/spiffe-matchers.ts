import { ClientCertConfigError } from '../errors.js'
import { quote } from '../help.js'
import type { ClientIdentity } from '../identity/identity.js'
import { SpiffeId } from '../identity/spiffe-id.js'
import { call } from './call.js'
import { operandOf } from './operands.js'
import { identityRule, type Rule } from './rule.js'

/**
 * The identity is this SPIFFE ID: the certificate's only URI name, exactly. With `/*` at the end, an ID below that path: whole segments, one
 * or more.
 *
 * @example
 * rules.spiffeId('spiffe://acme.example/billing/api')
 * rules.spiffeId('spiffe://acme.example/billing/*')   // …/billing/api, …/billing/api/v2; not …/billing, not …/billing2
 */
export function spiffeId(id: string): Rule {
  const written = operandOf('spiffeId', id)
  const isPrefix = written.endsWith('/*')
  const wanted = SpiffeId.from(isPrefix ? written.slice(0, -2) : written)
  if (wanted === undefined || wanted.path === '') {
    const whole = isPrefix && wanted !== undefined
    throw new ClientCertConfigError(
      whole
        ? `${call('spiffeId', id)} is the whole trust domain — trustDomain("${wanted.trustDomain}")`
        : `${call('spiffeId', id)} is not the SPIFFE ID of a workload — spiffe://trust-domain/path, lower-case trust domain, "/*" at the end for all below a path`,
    )
  }
  const matches = isPrefix
    ? (found: SpiffeId) => found.trustDomain === wanted.trustDomain && found.path.startsWith(`${wanted.path}/`)
    : (found: SpiffeId) => found.equals(wanted)
  return spiffeRule(call('spiffeId', id), matches)
}

/**
 * The identity is a SPIFFE ID of this trust domain, whatever its path.
 *
 * @example
 * rules.trustDomain('acme.example')
 */
export function trustDomain(name: string): Rule {
  const written = operandOf('trustDomain', name)
  const wanted = SpiffeId.from(written.startsWith('spiffe://') ? written : `spiffe://${written}`)
  if (wanted === undefined || wanted.path !== '') {
    throw new ClientCertConfigError(
      `${call('trustDomain', name)} is not a trust domain — lower-case letters, digits, dots, hyphens and underscores, as in "acme.example"`,
    )
  }
  return spiffeRule(call('trustDomain', name), (found) => found.trustDomain === wanted.trustDomain)
}

function spiffeRule(description: string, matches: (id: SpiffeId) => boolean): Rule {
  const idOf = ({ spiffeId: found }: ClientIdentity) => found
  return identityRule(
    description,
    {
      holds: (identity) => {
        const found = idOf(identity)
        return found !== undefined && matches(found)
      },
      found: (identity) => quote(idOf(identity)?.toString() ?? ''),
      hint: (identity) => {
        const found = idOf(identity)
        return found === undefined
          ? `the certificate has no SPIFFE ID (${identity.names.uri.length} URI names) — issue an X509-SVID`
          : `the certificate has ${quote(found.toString())} — allow it in the rule`
      },
    },
    { unbound: [description] },
  )
}
