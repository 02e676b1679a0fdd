import { XMLParser, XMLValidator } from 'fast-xml-parser'
import type { AuthenticatorOptions } from './core/options.js'
import { ClientCertConfigError, nearest, refuseUnknownOptions } from './errors.js'
import { type RuleDocument, type RuleIdentity, ruleFromValue } from './rules/rule-document.js'

/** What an Azure API Management policy becomes here. */
export interface ApimPolicy {
  /** For `clientCert()`: `ignore-error="true"` refuses nobody. */
  mode: 'required' | 'report-only'
  /** For `createAuthenticator()`, beside `trust`. */
  options: Pick<AuthenticatorOptions, 'revocation' | 'profile'>
  /** For `rules`, or to be kept as JSON; undefined where the policy has no identities. */
  rules: RuleDocument | undefined
  /** What is left for you to do, and what cannot be carried over: sentences for people. */
  notes: readonly string[]
}

export interface ApimPolicyOptions {
  /** What `issuer-certificate-id` refers to: SHA-256 fingerprint or PEM of each CA certificate, by its id. */
  certificates?: { readonly [id: string]: string }
  /** Accept SHA-1 thumbprints of clients, and pass the same option to `rules.document()`. */
  dangerouslyAllowSha1Thumbprints?: boolean
}

const element = 'validate-client-certificate'
const alone = `give apimPolicy() the <${element}> element alone`
const switches = ['validate-revocation', 'validate-trust', 'validate-not-before', 'validate-not-after', 'ignore-error']

/** APIM's attributes and the words of a rule document. */
const words: { readonly [attribute: string]: keyof RuleIdentity } = {
  thumbprint: 'thumbprint',
  'serial-number': 'serialNumber',
  'common-name': 'commonName',
  subject: 'subject',
  'dns-name': 'dnsName',
  'issuer-subject': 'issuerSubject',
  'issuer-thumbprint': 'issuerThumbprint',
}
const issuerId = 'issuer-certificate-id'

/**
 * Reads the `<validate-client-certificate>` element of an Azure API Management policy (peer: fast-xml-parser) into options and rules, and says what
 * it cannot carry over. Conditions in C# are refused, with the rules that say the same. Throws {@link ClientCertConfigError}.
 *
 * @example
 * const { mode, options, rules, notes } = apimPolicy(readFileSync('./policy.xml', 'utf8'))
 * notes.forEach((note) => console.warn(note))
 * const authenticator = createAuthenticator({ trust: './clients-ca.pem', ...options, ...(rules && { rules }) })
 * app.use(clientCert({ authenticator, mode }))
 */
export function apimPolicy(xml: string, options: ApimPolicyOptions = {}): ApimPolicy {
  refuseUnknownOptions('apimPolicy', options, ['certificates', 'dangerouslyAllowSha1Thumbprints'])
  if (typeof xml !== 'string') throw new ClientCertConfigError(`apimPolicy: expected XML text, got ${typeof xml}`)
  if (!xml.includes('<')) {
    throw new ClientCertConfigError(
      "apimPolicy: the text is no XML — the policy itself, not its path: apimPolicy(readFileSync('./policy.xml', 'utf8'))",
    )
  }
  const nodes = parse(xml)
  const conditions = expressionsIn(nodes).join('\n')
  if (certificateInCSharp.test(conditions)) throw refuseCondition(conditions, isIn(nodes))
  const [policy, beside] = onlyElement(nodes)
  const flags = flagsOf(policy)
  const identities = identitiesOf(policy, options)
  const notes: string[] = []
  const found: ApimPolicy = {
    mode: flags['ignore-error'] ? 'report-only' : 'required',
    // APIM asks for no extendedKeyUsage and takes version 1 certificates.
    options: { profile: 'compatible', ...(flags['validate-revocation'] ? {} : { revocation: 'none' }) },
    rules: identities === undefined ? undefined : { identities },
    notes,
  }
  if (flags['validate-revocation']) {
    notes.push(
      'validate-revocation="true": give revocation a checker; omitted, nothing is checked and a warning says so',
    )
  }
  if (flags['validate-trust']) {
    notes.push(
      'validate-trust="true": give trust the CA of your clients; the CA certificates uploaded to API Management, and never the system\'s roots',
    )
  } else {
    requirePins(identities, options)
    notes.push(
      'validate-trust="false": give trust the certificates themselves, { pinned: \'./clients.pem\' }; nobody else is admitted',
    )
  }
  for (const name of ['validate-not-before', 'validate-not-after'] as const) {
    if (flags[name]) continue
    notes.push(
      `${name}="false" cannot be carried over: validity is always checked; exceptions: [{ fingerprint, ignore, until, reason }] admits single certificates until a day`,
    )
  }
  if (flags['ignore-error']) {
    notes.push(
      'ignore-error="true" became mode: \'report-only\': every would-be refusal is reported, and a request that would be refused has no identity',
    )
  }
  if (beside.length > 0) {
    notes.push(
      `not read: ${beside.map((name) => `<${name}>`).join(', ')} — what of it refuses somebody is yours to carry over`,
    )
  }
  // Whatever is wrong with a value is said now.
  if (found.rules !== undefined) {
    ruleFromValue('apimPolicy', found.rules, {
      dangerouslyAllowSha1Thumbprints: options.dangerouslyAllowSha1Thumbprints === true,
    })
  }
  return Object.freeze(found)
}

interface Node {
  readonly name: string
  readonly attributes: { readonly [name: string]: string }
  readonly children: readonly Node[]
  /** What stands between its tags beside the children. */
  readonly text: string
}

function parse(xml: string): readonly Node[] {
  if (/<!DOCTYPE|<!ENTITY/i.test(xml))
    throw new ClientCertConfigError('apimPolicy: a policy has no DOCTYPE and defines no entities')
  const verdict = XMLValidator.validate(xml)
  if (verdict !== true) {
    // The gateway takes expressions as they are, with quotation marks that XML has to escape.
    const text = xml
      .replace(/<!--.*?-->/gs, '')
      .replaceAll('&quot;', '"')
      .replaceAll('&amp;', '&')
    if (certificateInCSharp.test(text)) throw refuseCondition(text, text.includes(`<${element}`))
    const { msg, line, col } = verdict.err
    const where = col === undefined ? `line ${line}` : `line ${line}, column ${col}`
    throw new ClientCertConfigError(
      `apimPolicy: ${where}: ${msg} — inside of a value XML writes &quot;, &lt; and &amp;; or ${alone}`,
    )
  }
  const parser = new XMLParser({
    preserveOrder: true,
    ignoreAttributes: false,
    attributeNamePrefix: '',
    parseAttributeValue: false,
    parseTagValue: false,
    trimValues: false,
    htmlEntities: true, // and with them the numeric ones, in which tools write what is not ASCII
  })
  try {
    return nodesOf(parser.parse(xml))
  } catch (error) {
    // Its limits: nesting, names.
    throw new ClientCertConfigError(`apimPolicy: ${(error as Error).message} — ${alone}`)
  }
}

/** The parser writes a node as `{ name: children, ':@': attributes }`, and text as `{ '#text': text }`. */
function nodesOf(list: unknown): Node[] {
  return (list as Record<string, unknown>[]).flatMap((item) => {
    const name = Object.keys(item).find((key) => key !== ':@')
    if (name === undefined || name === '#text' || name.startsWith('?')) return []
    const children = item[name] as Record<string, unknown>[]
    const attributes = (item[':@'] ?? {}) as Record<string, string>
    const text = children.map((child) => (typeof child['#text'] === 'string' ? child['#text'] : '')).join('')
    return [{ name, attributes, children: nodesOf(children), text: text.trim() }]
  })
}

/** What lets the element decide on every request. */
const sections = ['policies', 'inbound', 'fragment']

/** The element, and the names of what stands beside it. */
function onlyElement(nodes: readonly Node[]): [Node, string[]] {
  const count = allOf(nodes).filter(({ name }) => name === element).length
  if (count !== 1) {
    const fix =
      count === 0
        ? 'a certificate that a gateway forwards in a header is read by forwardedHeader({ … })'
        : `${alone}, once for each place clientCert() is mounted at`
    throw new ClientCertConfigError(`apimPolicy: holds ${count} <${element}> elements, expected one — ${fix}`)
  }
  let level = nodes
  for (;;) {
    const way = level.find((node) => isIn([node])) as Node
    if (way.name === element) {
      return [way, [...new Set(level.filter((node) => node !== way).map(({ name }) => name))]]
    }
    if (!sections.includes(way.name)) {
      throw new ClientCertConfigError(
        `apimPolicy: stands in <${way.name}>, and so not in the way of every request — ${alone}, and mount clientCert() where it is meant`,
      )
    }
    level = way.children
  }
}

const allOf = (nodes: readonly Node[]): Node[] => nodes.flatMap((node) => [node, ...allOf(node.children)])
const isIn = (nodes: readonly Node[]): boolean => allOf(nodes).some(({ name }) => name === element)

/** They carry what an expression says on, or count by it, and refuse nobody for it. */
const carriers = ['set-header', 'set-query-parameter', 'rate-limit-by-key', 'quota-by-key', 'trace', 'log-to-eventhub']

/** Everything in which code may stand that decides about a certificate. */
function expressionsIn(nodes: readonly Node[], isSection = true): string[] {
  return nodes.flatMap(({ name, attributes, children, text }) =>
    isSection && carriers.includes(name)
      ? []
      : [
          ...Object.values(attributes),
          text,
          ...expressionsIn(children, ['outbound', 'backend', 'on-error', ...sections].includes(name)),
        ],
  )
}

type Flags = { readonly [name: string]: boolean }

function flagsOf({ attributes, text }: Node): Flags {
  refuseText(`<${element}>`, text)
  // id names an element in traces, of any policy.
  refuseUnknown(
    `<${element}>`,
    Object.keys(attributes).filter((name) => name !== 'id'),
    switches,
  )
  const flag = (name: string) => {
    const value = attributes[name]
    if (value === undefined) return name !== 'ignore-error'
    if (value === 'true' || value === 'false') return value === 'true'
    throw new ClientCertConfigError(`apimPolicy: ${name} is ${JSON.stringify(value)}, expected "true" or "false"`)
  }
  return Object.fromEntries(switches.map((name) => [name, flag(name)]))
}

function identitiesOf({ children }: Node, options: ApimPolicyOptions): RuleIdentity[] | undefined {
  refuseUnknown(
    `<${element}>`,
    children.map(({ name }) => name),
    ['identities'],
  )
  if (children.length > 1) throw new ClientCertConfigError('apimPolicy: <identities> stands there twice')
  const [list] = children
  if (list === undefined) return undefined
  refuseText('<identities>', list.text)
  refuseUnknown(
    '<identities>',
    [...Object.keys(list.attributes), ...list.children.map(({ name }) => name)],
    ['identity'],
  )
  if (list.children.length === 0)
    throw new ClientCertConfigError(
      'apimPolicy: <identities> is empty — leave it out for everybody, or name who is meant',
    )
  return list.children.map((identity, i) => identityOf(identity, `identity ${i + 1}`, options))
}

function identityOf(
  { attributes, children, text }: Node,
  where: string,
  { certificates = {} }: ApimPolicyOptions,
): RuleIdentity {
  const known = [...Object.keys(words), issuerId]
  refuseText(where, text)
  refuseUnknown(where, [...Object.keys(attributes), ...children.map(({ name }) => name)], known)
  const identity: { -readonly [K in keyof RuleIdentity]: RuleIdentity[K] } = {}
  for (const [name, value] of Object.entries(attributes)) {
    if (value.trim() === '') throw new ClientCertConfigError(`apimPolicy: ${where}: ${name} is empty`)
    if (/\{\{.*\}\}|[$#]\{.*\}|^\s*@[({]/s.test(value)) {
      throw new ClientCertConfigError(
        `apimPolicy: ${where}: ${name} is a named value or an expression, or a template's — write the value itself`,
      )
    }
    // What the certificate dialogue of Windows copies along, and no certificate has.
    const invisible = /[\u200e\u200f\u202a-\u202e\ufeff]/u.exec(value)?.[0]
    if (invisible !== undefined) {
      const code = invisible.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
      throw new ClientCertConfigError(
        `apimPolicy: ${where}: ${name} holds an invisible character (U+${code}) — write the value anew`,
      )
    }
    if (name !== issuerId) identity[words[name] as 'thumbprint'] = value
  }
  const id = attributes[issuerId]
  if (id === undefined) return identity
  if (identity.issuerSubject !== undefined || identity.issuerThumbprint !== undefined) {
    throw new ClientCertConfigError(
      `apimPolicy: ${where}: ${issuerId} stands beside another word for the issuer — leave one out`,
    )
  }
  if (!Object.hasOwn(certificates, id)) {
    throw new ClientCertConfigError(
      `apimPolicy: ${where}: ${issuerId}="${id}" is a certificate of your API Management — certificates: { ${JSON.stringify(id)}: its SHA-256 fingerprint or PEM }`,
    )
  }
  return { ...identity, issuerThumbprint: certificates[id] as string }
}

function refuseUnknown(where: string, found: readonly string[], known: readonly string[]): void {
  for (const name of found) {
    if (known.includes(name)) continue
    const near = nearest(name, known)
    throw new ClientCertConfigError(
      `apimPolicy: ${where}: unknown "${name}".${near ? ` Did you mean "${near}"?` : ` Known: ${known.join(', ')}`}`,
    )
  }
}

/** A tag that was closed too early leaves its attributes behind as text, and the gateway's defaults in their place. */
function refuseText(where: string, text: string): void {
  if (text === '') return
  throw new ClientCertConfigError(
    `apimPolicy: ${where}: holds the text ${JSON.stringify(text.slice(0, 40))} — attributes stand inside of the tag`,
  )
}

/** Without a CA only the certificate itself says who it is, and only by a hash that nobody can collide. */
function requirePins(identities: readonly RuleIdentity[] | undefined, options: ApimPolicyOptions): void {
  const isPinned = ({ thumbprint }: RuleIdentity) =>
    typeof thumbprint === 'string' && /^[0-9a-f]{64}$/i.test(thumbprint.replace(/[:\s]/g, ''))
  if (identities?.every(isPinned) && options.dangerouslyAllowSha1Thumbprints !== true) return
  throw new ClientCertConfigError(
    'apimPolicy: validate-trust="false" lets everybody make a certificate with any name — every identity needs a SHA-256 thumbprint, and no SHA-1 beside it: openssl x509 -in client.pem -noout -fingerprint -sha256; or give trust the CA of your clients, and write validate-trust="true"',
  )
}

/** However it is spread over lines. */
const certificateInCSharp = /context\s*\.\s*Request\s*\??\s*\.\s*Certificate\b/

/** What people test of a certificate in C#, and what says the same here: conditions for refusing, so that each is turned round. */
const terms: readonly [pattern: RegExp, says: (value: string) => string | undefined, note?: string][] = [
  [/context\.Request\.Certificate\s*==\s*null/g, () => undefined, "certificate null: mode 'required', the default"],
  [
    /!\s*context\.Request\.Certificate\.Verify\(\)/g,
    () => undefined,
    'Verify(): trust: your CA, and revocation: a checker',
  ],
  [
    /!\s*context\.Request\.Certificate\.VerifyNoRevocation\(\)/g,
    () => undefined,
    "VerifyNoRevocation(): trust: your CA, and revocation: 'none'",
  ],
  [
    /context\.Request\.Certificate\.(?:NotAfter\s*<|NotBefore\s*>)\s*DateTime\.(?:Utc)?Now\b/g,
    () => undefined,
    'NotBefore, NotAfter: always checked',
  ],
  [
    /!\s*context\.Request\.Certificate\.Subject(?:Name\.Name)?\.Contains\(\s*"(\w+=[^",+\\]+)"\s*\)/g,
    (value) => `rules.subject(${JSON.stringify(Object.fromEntries([value.split('=', 2)]))})`,
    'Contains() took every longer value too, and in any part of the subject; the rule does not',
  ],
  [/context\.Request\.Certificate\.Issuer\s*!=\s*"([^"]*)"/g, (value) => `rules.issuerName(${JSON.stringify(value)})`],
  [
    /context\.Request\.Certificate\.SubjectName\.Name\s*!=\s*"([^"]*)"/g,
    (value) => `rules.subject(${JSON.stringify(value)})`,
  ],
  [/context\.Request\.Certificate\.Subject\s*!=\s*"([^"]*)"/g, (value) => `rules.subject(${JSON.stringify(value)})`],
  [
    /context\.Request\.Certificate\.Thumbprint\s*!=\s*"([^"]*)"/g,
    (value) => `rules.fingerprint("SHA-256 of the certificate with the SHA-1 thumbprint ${value}")`,
  ],
  [
    /!\s*context\.Deployment\.Certificates\.Any\(\s*\w+\s*=>\s*\w+\.Value\.Thumbprint\s*==\s*context\.Request\.Certificate\.Thumbprint\s*\)/g,
    () => "rules.listed({ directory: './clients.d' })",
  ],
]

/** @param isBeside whether the element is there too. */
function refuseCondition(expressions: string, isBeside: boolean): ClientCertConfigError {
  let rest = expressions.replace(new RegExp(certificateInCSharp, 'g'), 'context.Request.Certificate')
  const rules: string[] = []
  const notes: string[] = []
  for (const [pattern, says, note] of terms) {
    rest = rest.replace(pattern, (_, value: string) => {
      const rule = says(value)
      if (rule !== undefined && !rules.includes(rule)) rules.push(rule)
      if (note !== undefined && !notes.includes(note)) notes.push(note)
      return 'false'
    })
  }
  const unknown = [...rest.matchAll(/context\.Request\.Certificate[\w.()]*/g)].map(([term]) => term)
  // Refusals joined by "or" are admissions joined by "and"; anything else is for a person to read.
  const isPlain = unknown.length === 0 && !/&&|!\s*\(/.test(rest)
  const equal = rules.length === 0 ? 'no rules' : rules.length === 1 ? rules[0] : `rules.all(${rules.join(', ')})`
  const said = notes.length === 0 ? '' : `; ${notes.join('; ')}`
  const open = isPlain
    ? ''
    : `; what is left is yours to write, as rules.custom(…): ${unknown.slice(0, 3).join(', ') || 'conditions that || alone does not join'}`
  const then = isBeside ? `; then ${alone}` : ''
  return new ClientCertConfigError(
    `apimPolicy: a condition in C# is code, and is not run — the same here: rules: ${equal}${said}${open}; <return-response> becomes responses or onDenied of clientCert()${then}`,
  )
}
