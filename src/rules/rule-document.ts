import { hash } from 'node:crypto'
import { ClientCertConfigError, nearest } from '../errors.js'
import { dnsName, email, ip, upn, uri } from './alternative-name-matchers.js'
import { call } from './call.js'
import {
  certificatePolicy,
  extendedKeyUsage,
  extension,
  fingerprint,
  keyAlgorithm,
  maximumLifetime,
  publicKeyPin,
  validFor,
} from './certificate-matchers.js'
import { all, any, deny, not } from './combinators.js'
import { anchor, issuedBy, serialNumberOf } from './issuer-matchers.js'
import { type JsonNode, type JsonPlace, jsonOf, parseJson } from './json.js'
import { type AttributeSubset, commonName, directoryName, eitherOrder, issuerName, subject } from './name-matchers.js'
import { broken, held, identityRule, makeRule, type Rule } from './rule.js'
import { spiffeId, trustDomain } from './spiffe-matchers.js'

/** One value, or a list of which one must hold. */
export type OneOrMany<T> = T | readonly T[]

/**
 * A condition as data. All of its members must hold. The names and values are those of the rules; a list of values holds if one of them does,
 * and an empty list is nobody.
 */
export interface RuleCondition {
  all?: readonly RuleCondition[]
  any?: readonly RuleCondition[]
  not?: RuleCondition
  deny?: RuleCondition
  spiffeId?: OneOrMany<string>
  trustDomain?: OneOrMany<string>
  dnsName?: OneOrMany<string>
  uri?: OneOrMany<string>
  email?: OneOrMany<string>
  ip?: OneOrMany<string>
  upn?: OneOrMany<string>
  commonName?: OneOrMany<string>
  subject?: OneOrMany<string | AttributeSubset>
  directoryName?: OneOrMany<string | AttributeSubset>
  issuerName?: OneOrMany<string | AttributeSubset>
  /** SHA-256 fingerprint or PEM of a CA certificate. */
  issuedBy?: OneOrMany<string>
  anchor?: OneOrMany<string>
  /** Hexadecimal; say whose beside it: `issuedBy`, `anchor`, `issuerName`. */
  serialNumber?: OneOrMany<string>
  fingerprint?: OneOrMany<string>
  publicKeyPin?: OneOrMany<string>
  certificatePolicy?: OneOrMany<string>
  extendedKeyUsage?: OneOrMany<string>
  keyAlgorithm?: OneOrMany<string>
  maximumLifetime?: string
  validFor?: string
  /** `value`: the octets in hexadecimal. */
  extension?: OneOrMany<{ oid: string; value: string }>
  /** Azure API Management's words for `fingerprint`, `issuerName` and `issuedBy`. */
  thumbprint?: OneOrMany<string>
  issuerSubject?: OneOrMany<string>
  issuerThumbprint?: OneOrMany<string>
}

/** Azure API Management's `<identity>`: every member must hold. */
export type RuleIdentity = Pick<
  RuleCondition,
  'thumbprint' | 'serialNumber' | 'commonName' | 'subject' | 'dnsName' | 'issuerSubject' | 'issuerThumbprint'
>

/**
 * Rules as data, for operators. `rules.schema.json` in the package describes it.
 *
 * @example
 * { "deny": [{ "fingerprint": "3f9a…" }], "allow": { "any": [{ "dnsName": "a.test" }, { "subject": { "OU": ["Editors"] } }] } }
 */
export interface RuleDocument {
  $schema?: string
  /** For people: what the document is for. */
  description?: string
  /** Refused before anything else is asked. */
  deny?: readonly RuleCondition[]
  /** Who is admitted: a condition, or `everyone` with a valid certificate. */
  allow?: RuleCondition | 'everyone'
  /** Instead of `allow`, as in Azure API Management: one of them must hold. An empty list is nobody. */
  identities?: readonly RuleIdentity[]
}

export interface DocumentOptions {
  /** Accept SHA-1 thumbprints, as Azure API Management shows them. SHA-1 collides: whoever gets a certificate issued may have made two. */
  dangerouslyAllowSha1Thumbprints?: boolean
}

interface Context extends DocumentOptions {
  readonly where: string
}

type Operand = string | AttributeSubset | { oid: string; value: string }

/** @internal Every word of a condition that takes values, and the rule it makes. A test compares it with `rules.schema.json`. */
export const vocabulary: { readonly [name: string]: (operand: never, context: Context) => Rule } = Object.freeze({
  __proto__: null,
  spiffeId,
  trustDomain,
  dnsName,
  uri,
  email,
  ip,
  upn,
  commonName,
  subject,
  directoryName,
  issuerName,
  issuedBy,
  anchor,
  serialNumber: serialNumberOf,
  fingerprint,
  publicKeyPin,
  certificatePolicy,
  extendedKeyUsage,
  keyAlgorithm: (name: string) => keyAlgorithm(name),
  maximumLifetime,
  validFor,
  extension: extensionOf,
  thumbprint: thumbprintOf,
  issuerSubject: eitherOrder.issuerName,
  issuerThumbprint: issuedBy,
} as unknown as { [name: string]: (operand: never, context: Context) => Rule })

/** Words that take one value only. */
const single = ['maximumLifetime', 'validFor']
const combinators = ['all', 'any', 'not', 'deny']
const conditionWords = [...combinators, ...Object.keys(vocabulary)]
/** What an identity says in another way than a condition. */
const identityMakers: ReadonlyMap<string, (operand: never) => Rule> = new Map([
  ['subject', eitherOrder.subject],
  ['dnsName', hostOfIdentity],
])
const identityWords = [
  'thumbprint',
  'serialNumber',
  'commonName',
  'subject',
  'dnsName',
  'issuerSubject',
  'issuerThumbprint',
]

/** Makes a rule of a document in JSON text. Throws {@link ClientCertConfigError} with line and column. */
export function ruleFromText(where: string, text: string, options: DocumentOptions = {}): Rule {
  return documentRule(parseJson(where, text), { ...options, where })
}

/** Makes a rule of a document that is a JavaScript value. Throws {@link ClientCertConfigError} with the path of the mistake. */
export function ruleFromValue(where: string, value: unknown, options: DocumentOptions = {}): Rule {
  return documentRule(jsonOf(where, value), { ...options, where })
}

function documentRule(node: JsonNode, context: Context): Rule {
  const members = membersOf(node, '', context, ['$schema', 'description', 'deny', 'allow', 'identities'])
  for (const name of ['$schema', 'description']) {
    const text = members.get(name)
    if (text !== undefined && text.node.type !== 'text') throw mistake(context, text.node, name, 'expected a text')
  }
  const [allow, identities, denied] = [members.get('allow'), members.get('identities'), members.get('deny')]
  if ((allow === undefined) === (identities === undefined)) {
    const reason = allow === undefined ? 'says nobody who is admitted' : 'has both "allow" and "identities"'
    throw mistake(context, node, '', `${reason} — one of "allow" and "identities"; { "identities": [] } is nobody`)
  }
  const denials =
    denied === undefined
      ? []
      : itemsOf(denied.node, 'deny', context).map((item, i) =>
          located(context, item, `deny[${i}]`, () => deny(conditionRule(item, `deny[${i}]`, context))),
        )
  const admitted =
    allow === undefined
      ? identitiesRule(identities?.node as JsonNode, context)
      : allow.node.type === 'text' && allow.node.value === 'everyone'
        ? everyone
        : conditionRule(allow.node, 'allow', context)
  return denials.length === 0 ? admitted : all(admitted, ...denials)
}

function identitiesRule(node: JsonNode, context: Context): Rule {
  const identities = itemsOf(node, 'identities', context).map((item, i) => {
    const path = `identities[${i}]`
    return conditionRule(item, path, context, identityWords)
  })
  return anyOf(identities)
}

function conditionRule(
  node: JsonNode,
  path: string,
  context: Context,
  words: readonly string[] = conditionWords,
): Rule {
  const members = membersOf(node, path, context, words)
  if (members.size === 0) {
    throw mistake(context, node, path, 'is empty, and would hold for everyone — name what must hold')
  }
  const isIdentity = words === identityWords
  const parts = [...members].map(([name, member]) => {
    const make = isIdentity ? identityMakers.get(name) : undefined
    return make === undefined
      ? memberRule(name, member.node, `${path}.${name}`, context)
      : valuesRule(name, member.node, `${path}.${name}`, context, make)
  })
  return parts.length === 1 ? (parts[0] as Rule) : all(...(parts as [Rule]))
}

function memberRule(name: string, node: JsonNode, path: string, context: Context): Rule {
  switch (name) {
    case 'all': {
      const inner = itemsOf(node, path, context).map((item, i) => conditionRule(item, `${path}[${i}]`, context))
      if (inner.length === 0)
        throw mistake(context, node, path, 'is empty, and would hold for everyone — name what must hold')
      return all(...(inner as [Rule]))
    }
    case 'any':
      return located(context, node, path, () =>
        anyOf(itemsOf(node, path, context).map((item, i) => conditionRule(item, `${path}[${i}]`, context))),
      )
    case 'not':
      return located(context, node, path, () => not(conditionRule(node, path, context)))
    case 'deny':
      return located(context, node, path, () => deny(conditionRule(node, path, context)))
    default:
      return valuesRule(name, node, path, context)
  }
}

function valuesRule(
  name: string,
  node: JsonNode,
  path: string,
  context: Context,
  make = vocabulary[name] as unknown as (operand: never, context: Context) => Rule,
): Rule {
  const one = (item: JsonNode, at: string) =>
    located(context, item, at, () => make(operandOf(item, at, context) as never, context))
  if (node.type !== 'list') return one(node, path)
  if (single.includes(name)) throw mistake(context, node, path, 'expected one value, got a list')
  return anyOf(node.items.map((item, i) => one(item, `${path}[${i}]`)))
}

/** A text, or an object of texts and lists of texts. */
function operandOf(node: JsonNode, path: string, context: Context): Operand {
  if (node.type === 'text') return node.value
  if (node.type !== 'object') throw mistake(context, node, path, `expected a text, got ${typeOf(node)}`)
  const entries = [...node.members].map(([name, member]): [string, string | string[]] => {
    const at = `${path}.${name}`
    if (member.node.type === 'text') return [name, member.node.value]
    return [name, itemsOf(member.node, at, context).map((item, i) => textOf(item, `${at}[${i}]`, context))]
  })
  return Object.fromEntries(entries) as AttributeSubset
}

function textOf(node: JsonNode, path: string, context: Context): string {
  if (node.type === 'text') return node.value
  throw mistake(context, node, path, `expected a text, got ${typeOf(node)}`)
}

function membersOf(node: JsonNode, path: string, context: Context, known: readonly string[]) {
  if (node.type !== 'object') throw mistake(context, node, path, `expected an object, got ${typeOf(node)}`)
  for (const [name, { at }] of node.members) {
    if (known.includes(name)) continue
    const near = nearest(name, known)
    const advice = near === undefined ? `Known: ${known.join(', ')}` : `Did you mean "${near}"?`
    throw mistake(context, { at }, path, `unknown key ${JSON.stringify(name)}. ${advice}`)
  }
  return node.members
}

function itemsOf(node: JsonNode, path: string, context: Context): readonly JsonNode[] {
  if (node.type === 'list') return node.items
  throw mistake(context, node, path, `expected a list, got ${typeOf(node)}`)
}

const typeOf = (node: JsonNode) =>
  node.type === 'other'
    ? node.value === null
      ? 'null'
      : typeof node.value
    : node.type === 'list'
      ? 'a list'
      : `${node.type === 'object' ? 'an object' : 'a text'}`

function mistake(
  { where }: Context,
  { at }: { at: JsonPlace | undefined },
  path: string,
  reason: string,
): ClientCertConfigError {
  const place = at === undefined ? '' : ` line ${at.line}, column ${at.column}:`
  return new ClientCertConfigError(`${where}:${place}${path === '' ? '' : ` ${path}:`} ${reason}`)
}

/** What a rule finds wrong with its operand, with the place of it. */
function located(context: Context, node: JsonNode, path: string, make: () => Rule): Rule {
  try {
    return make()
  } catch (error) {
    const isPlaced = !(error instanceof ClientCertConfigError) || error.message.startsWith(`${context.where}:`)
    throw isPlaced ? error : mistake(context, node, path, error.message)
  }
}

const anyOf = (rules: readonly Rule[]): Rule => (rules.length === 0 ? nobody : any(...(rules as [Rule])))

/** What an empty list of a document is. */
const nobody = makeRule({
  description: 'nobody()',
  isOfIdentity: true,
  bindsIssuer: true,
  allow: () => broken('nobody()', 'did-not-hold', 'the list is empty — add who is meant'),
})

const everyone = makeRule({ description: 'everyone()', isOfIdentity: true, allow: () => held('everyone()') })

function extensionOf(operand: unknown): Rule {
  const { oid, value, ...rest } = (typeof operand === 'object' ? operand : {}) as Record<string, unknown>
  const isWhole = typeof oid === 'string' && typeof value === 'string' && Object.keys(rest).length === 0
  if (!isWhole || !/^(?:[0-9a-fA-F]{2})*$/.test(value)) {
    throw new ClientCertConfigError('extension: expected { "oid": "1.2.3", "value": octets in hexadecimal }')
  }
  return extension(oid, Buffer.from(value, 'hex'))
}

/** API Management compares with the entries of the certificate, of which a wildcard is one: it means no other host. */
function hostOfIdentity(name: string): Rule {
  if (typeof name !== 'string' || !name.startsWith('*')) return dnsName(name)
  throw new ClientCertConfigError(
    `dnsName(${JSON.stringify(name)}): there a wildcard is the one in the certificate, here it would stand for every label — name the hosts; or, for every label, { "allow": { "dnsName": ${JSON.stringify(name)} } }`,
  )
}

function thumbprintOf(operand: string, { dangerouslyAllowSha1Thumbprints }: Context): Rule {
  const hex = typeof operand === 'string' ? operand.replace(/[:\s]/g, '').toLowerCase() : ''
  if (dangerouslyAllowSha1Thumbprints !== true || !/^[0-9a-f]{40}$/.test(hex)) return fingerprint(operand)
  return identityRule(
    call('thumbprint', hex),
    {
      holds: ({ certificate }) => hash('sha1', certificate.der, 'hex') === hex,
      found: ({ certificate }) => hash('sha1', certificate.der, 'hex'),
      hint: (identity) => `the certificate is ${identity.fingerprint} in SHA-256 — write that: SHA-1 collides`,
    },
    { bindsIssuer: true },
  )
}
