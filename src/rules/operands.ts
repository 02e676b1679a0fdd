import { ClientCertConfigError } from '../errors.js'
import { quote } from '../help.js'
import type { ClientIdentity } from '../identity/identity.js'
import { call } from './call.js'
import { identityRule, type Rule } from './rule.js'

/** The operand of a rule, which is a text that says something. */
export function operandOf(name: string, operand: unknown): string {
  if (typeof operand === 'string' && operand.trim() !== '') return operand
  const found = operand === undefined ? 'nothing' : operand === '' ? 'an empty string' : typeof operand
  throw new ClientCertConfigError(
    `${name}(…): expected a text, got ${found} — an undefined value must not make a rule that admits others`,
  )
}

/** At most three values, quoted; what a rule looked at. */
export function shown(values: readonly string[]): string {
  if (values.length === 0) return 'none'
  return `${values.slice(0, 3).map(quote).join(', ')}${values.length > 3 ? ', …' : ''}`
}

/** A rule that holds if one of the identity's names of a form does. */
export function oneOf(
  name: string,
  operand: string,
  of: (identity: ClientIdentity) => readonly string[],
  matches: (found: string) => boolean,
): Rule {
  const description = call(name, operand)
  return identityRule(
    description,
    {
      holds: (identity) => of(identity).some(matches),
      found: (identity) => shown(of(identity)),
      hint: (identity) => {
        const found = of(identity)
        if (found.length > 0) {
          return `the certificate has ${shown(found)} — allow it in the rule, or issue another certificate`
        }
        const cn = name === 'dnsName' && identity.subject.get('CN')?.toLowerCase() === operand.toLowerCase()
        return cn
          ? 'the name is only in the subject — issue it as subjectAltName, or commonName(…)'
          : 'the certificate has no such name — issue it with a subjectAltName'
      },
    },
    { unbound: [description] },
  )
}

const units: { readonly [unit: string]: number } = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 }

/** Milliseconds of a duration as operators write it: `90d`, `12h`, `30m`, `45s`. */
export function durationOf(name: string, written: unknown): number {
  const parts = typeof written === 'string' ? /^([1-9]\d{0,7})([dhms])$/.exec(written) : null
  if (parts !== null) return Number(parts[1]) * (units[parts[2] as string] as number)
  throw new ClientCertConfigError(
    `${name}(${JSON.stringify(written)}): expected a duration — a whole number and d, h, m or s, as in "90d" or "12h"`,
  )
}
