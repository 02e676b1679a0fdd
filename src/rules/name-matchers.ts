import { ClientCertConfigError } from '../errors.js'
import { quote } from '../help.js'
import type { ClientIdentity } from '../identity/identity.js'
import type { AttributeTypeAndValue } from '../x509/attribute.js'
import { DistinguishedName } from '../x509/name.js'
import { attributeName, attributeType } from '../x509/oid.js'
import { call } from './call.js'
import { operandOf, shown } from './operands.js'
import { identityRule, type Look, type Rule } from './rule.js'

/**
 * Some attributes of a distinguished name, by descriptor (`CN`, `O`, `OU`) or dotted identifier. A text: the name has exactly one attribute of
 * the type, with this value. A list: it has every one of these values among its attributes of the type.
 */
export interface AttributeSubset {
  readonly [type: string]: string | readonly string[]
}

/**
 * The subject has exactly one common name, and it is this one, character for character. There is no fallback from or to subject alternative
 * names. Prefer `dnsName`, `uri` or `spiffeId`: a common name has no type, and no name constraint of a CA binds it (RFC 5280 §4.2.1.10).
 */
export function commonName(name: string): Rule {
  const wanted = operandOf('commonName', name)
  const description = call('commonName', wanted)
  return identityRule(
    description,
    {
      holds: ({ subject }) => subject.get('CN') === wanted,
      found: ({ subject }) => shown(subject.all('CN')),
      hint: ({ subject, names }) => {
        const found = subject.all('CN')
        if (found.length > 1) return `the certificate has ${found.length} common names — issue it with one`
        if (names.dns.includes(wanted)) {
          return `the certificate has that name as subjectAltName dNSName — dnsName(${JSON.stringify(wanted)})`
        }
        return `the certificate has ${found.length === 0 ? 'no common name' : quote(found[0] as string)} — allow it in the rule, or issue another certificate`
      },
    },
    { unbound: [description] },
  )
}

/**
 * The whole subject is this distinguished name under RFC 5280 §7.1 (case and runs of spaces do not matter, order does), or has these
 * attributes. Reads RFC 4514 text, openssl's spaces around `=`, and .NET's `S=` and `E=`.
 *
 * @example
 * rules.subject('CN=alice,O=Acme\\, Inc.,C=DE')
 * rules.subject({ O: 'Acme', OU: ['Editors'] })   // exactly one O, which is Acme; Editors among its OUs
 */
export function subject(name: string | AttributeSubset): Rule {
  return nameRule('subject', name, (identity) => [identity.subject], true)
}

/**
 * The issuer is this distinguished name or has these attributes, compared as in `subject`. A name alone does not say whose CA it is: with
 * several anchors use `issuedBy` or add `anchor`.
 */
export function issuerName(name: string | AttributeSubset): Rule {
  return nameRule('issuerName', name, (identity) => [identity.issuer], false)
}

/** One subjectAltName directoryName is this distinguished name or has these attributes, compared as in `subject`. */
export function directoryName(name: string | AttributeSubset): Rule {
  return nameRule('directoryName', name, ({ names }) => names.directory, true)
}

/**
 * @internal A subject or issuer as Azure API Management's policies have it: the same name in RFC 4514 order, as .NET prints it, or in the order of its
 * encoding, as the policies' documentation does.
 */
export const eitherOrder = {
  subject: (name: string | AttributeSubset): Rule => nameRule('subject', name, ({ subject }) => [subject], true, true),
  issuerName: (name: string | AttributeSubset): Rule =>
    nameRule('issuerName', name, ({ issuer }) => [issuer], false, true),
}

type NamesOf = (identity: ClientIdentity) => readonly DistinguishedName[]

function nameRule(
  rule: string,
  operand: string | AttributeSubset,
  of: NamesOf,
  namesSubject: boolean,
  isEitherOrder = false,
): Rule {
  const isSubset = typeof operand === 'object' && operand !== null
  const [description, look] = isSubset ? subsetLook(rule, operand, of) : wholeLook(rule, operand, of, isEitherOrder)
  return identityRule(description, look, {
    unbound: namesSubject ? [description] : [],
    ...(isEitherOrder && { describe: () => ({ kind: rule, operands: [operand], isEitherOrder }) }),
  })
}

function wholeLook(rule: string, operand: string, of: NamesOf, isEitherOrder: boolean): [string, Look] {
  const written = operandOf(rule, operand)
  const wanted = parseName(rule, written)
  const wantedIsAscii = isAscii(wanted)
  const orders = isEitherOrder ? [wanted, wanted.reversed()] : [wanted]
  const look: Look = {
    // RFC 4518 makes ａ (full width) equal to a, and drops control characters; an operator who wrote plain ASCII did not mean it.
    holds: (identity) =>
      of(identity).some((name) => orders.some((order) => name.equals(order)) && (!wantedIsAscii || isAscii(name))),
    found: (identity) => shown(of(identity).map(String)),
    hint: (identity) => {
      const found = of(identity)
      const reversed = found.find((name) => name.equals(wanted.reversed()))
      if (reversed !== undefined) {
        return `the certificate is that name in reverse — RFC 4514 writes ${quote(reversed.toString())}`
      }
      return `the certificate has ${shown(found.map(String))} — allow it in the rule, or issue another certificate`
    },
  }
  return [call(rule, written), look]
}

interface WantedAttribute {
  readonly type: string
  readonly keys: readonly string[]
  readonly isOnly: boolean
  readonly isAscii: boolean
}

function subsetLook(rule: string, operand: AttributeSubset, of: NamesOf): [string, Look] {
  const description = `${rule}(${JSON.stringify(operand)})`
  const types = Object.keys(operand)
  if (types.length === 0) {
    throw new ClientCertConfigError(`${description} asks for nothing — name an attribute: ${rule}({ O: 'Acme' })`)
  }
  const wanted = types.map((type) => wantedAttribute(description, type, operand[type]))
  if (new Set(wanted.map(({ type }) => type)).size !== wanted.length) {
    throw new ClientCertConfigError(
      `${description} names an attribute type twice — a list of values: { OU: ['a', 'b'] }`,
    )
  }
  const look: Look = {
    holds: (identity) => of(identity).some((name) => wanted.every((attribute) => hasAttribute(name, attribute))),
    found: (identity) => shown(of(identity).map(String)),
    hint: (identity) => {
      const [name] = of(identity)
      const missing = wanted.find((attribute) => name === undefined || !hasAttribute(name, attribute))
      const type = missing === undefined ? 'attribute' : (attributeName(missing.type) ?? missing.type)
      return `the certificate has ${type} ${shown(name?.all(missing?.type ?? '') ?? [])} — allow it in the rule, or issue another certificate`
    },
  }
  return [description, look]
}

function wantedAttribute(where: string, written: string, value: unknown): WantedAttribute {
  const type = attributeType(written)
  if (type === undefined) {
    throw new ClientCertConfigError(
      `${where}: unknown attribute type "${written}" — CN, O, OU, …, or a dotted identifier`,
    )
  }
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (values.length === 0) throw new ClientCertConfigError(`${where}: ${written} is an empty list — name its values`)
  const texts = values.map((text) => {
    if (typeof text === 'string' && text.trim() !== '') return text
    throw new ClientCertConfigError(`${where}: ${written} is ${text === '' ? 'empty' : typeof text}, expected a text`)
  })
  const attributes = texts.map((text) => attributeOf(where, type, text))
  const isPlain = texts.every((text) => /^[\x20-\x7e]*$/.test(text))
  return {
    type,
    keys: attributes.map(({ comparisonKey }) => comparisonKey),
    isOnly: !Array.isArray(value),
    isAscii: isPlain,
  }
}

/** An attribute of a text, read as RFC 4514 with everything escaped. */
function attributeOf(where: string, type: string, text: string): AttributeTypeAndValue {
  try {
    const escaped = [...Buffer.from(text)].map((octet) => `\\${octet.toString(16).padStart(2, '0')}`).join('')
    return DistinguishedName.parse(`${type}=${escaped}`).rdns[0]?.[0] as AttributeTypeAndValue
  } catch (error) {
    throw new ClientCertConfigError(`${where}: ${(error as Error).message}`)
  }
}

function hasAttribute(name: DistinguishedName, { type, keys, isOnly, isAscii }: WantedAttribute): boolean {
  const found = name.rdns.flat().filter((attribute) => attribute.type === type)
  if (isOnly && found.length !== 1) return false
  const plain = found.filter(({ value }) => !isAscii || (value !== undefined && /^[\x20-\x7e]*$/.test(value)))
  const present = plain.map(({ comparisonKey }) => comparisonKey)
  return keys.every((key) => present.includes(key))
}

/** @internal Reads a distinguished name that an operator wrote; says what is wrong with it, and the fix. */
export function parseName(rule: string, written: string): DistinguishedName {
  if (written.startsWith('/')) {
    throw new ClientCertConfigError(
      `${call(rule, written)} is openssl's old form, in which "/" is ambiguous — RFC 4514 writes ${fromSlashes(written)}`,
    )
  }
  try {
    return DistinguishedName.parse(written)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new ClientCertConfigError(
      `${call(rule, written)}: ${error.message} — openssl x509 -in client.pem -noout -subject -nameopt RFC2253 prints it`,
    )
  }
}

function fromSlashes(written: string): string {
  const parts = written.split('/').filter((part) => part !== '')
  const known = parts.every((part) => attributeType(part.slice(0, Math.max(0, part.indexOf('=')))) !== undefined)
  return known ? JSON.stringify(parts.reverse().join(',')) : 'CN=…,O=…,C=…'
}

const isAscii = ({ rdns }: DistinguishedName) =>
  rdns.every((rdn) => rdn.every(({ value }) => value === undefined || /^[\x20-\x7e]*$/.test(value)))
