import {
  type Attribute,
  basicConstraints,
  certificatePolicies,
  directory,
  dns,
  type Extension,
  email,
  extKeyUsage,
  ia5,
  id,
  inhibitAnyPolicy,
  ip,
  keyUsage,
  name,
  nameConstraints,
  octetString,
  otherName,
  policyConstraints,
  policyMappings,
  primitive,
  printable,
  purpose,
  type Rdn,
  registeredId,
  sequence,
  uri,
  utf8,
  utf8Mailbox,
} from './path-der.js'
import { dice, type Forged, forge, fromNoon, type Plan, poolKey, seal } from './path-forge.js'
import type { Chain } from './path-openssl.js'

/** Chains for the differential test, each from its seed alone. Names of CAs hold the seed, so that many chains fit in one pool. */

export interface Generated extends Chain {
  readonly seed: number
  readonly kind: 'structured' | 'octets'
  /** What is unusual about it, for a person who has to explain a difference. */
  readonly story: string
}

type Dice = ReturnType<typeof dice>

const domains = ['a.test', 'b.a.test', 'c.b.a.test', 'b.test', 'A.TEST', 'xa.test', 'test']
const organizations = ['Acme', 'ACME ', 'Acme  Labs', 'Other']
const addresses = [
  '0a000001',
  '0a010203',
  'c0000201',
  '20010db8000000000000000000000001',
  '00000000000000000000ffff0a000001',
]
const networks = [
  '0a000000ff000000',
  '0a010000ffff0000',
  'c0000200ffffff00',
  `20010db8${'00'.repeat(12)}ffffffff${'00'.repeat(12)}`,
]
const policies = ['1.3.5.1', '1.3.5.2', '1.3.5.3', id.anyPolicy]

const organization = ({ pick }: Dice): Attribute => ['O', pick([utf8, printable])(pick(organizations))]

function nameFor(from: Dice): Uint8Array {
  const { below, pick, chance } = from
  const host = () => (chance(0.15) ? '*.' : '') + pick(domains)
  switch (below(chance(0.9) ? 5 : 8)) {
    case 0:
      return dns(host())
    case 1:
      return email(`${pick(['alice', 'Alice', '"a@b"', 'bob'])}@${pick(domains)}`)
    case 2:
      return uri(
        pick(['https', 'spiffe']) +
          pick(['://', '://', '://', '://user@', ':']) +
          pick([...domains, '10.0.0.1', 'a.test.', '[2001:db8::1]']) +
          pick(['', '/', '/path', ':8443/', '?q']),
      )
    case 3:
      return ip(pick(addresses))
    case 4:
      return directory(organization(from), ['CN', pick(['x', 'y'])])
    case 5:
      return otherName('1.2.3.4', utf8('x'))
    case 6:
      return registeredId('1.2.3')
    default:
      return utf8Mailbox(`ä@${pick(domains)}`)
  }
}

function baseFor(from: Dice): Uint8Array {
  const { below, pick, chance } = from
  switch (below(chance(0.93) ? 5 : 7)) {
    case 0:
      return dns(pick([...domains, '']))
    case 1:
      return email(pick([...domains, ...domains.map((domain) => `.${domain}`), 'alice@a.test']))
    case 2:
      return uri(pick([...domains, ...domains.map((domain) => `.${domain}`)]))
    case 3:
      return ip(pick(networks))
    case 4:
      return chance(0.1) ? directory() : directory(organization(from))
    case 5:
      return registeredId('1.2')
    default:
      return otherName('1.2.3.4', utf8('y'))
  }
}

const listOf = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make)

/** What is said here about a CA or a leaf besides the usual; the words go into the story. */
interface Said {
  readonly plan: Plan
  readonly words: readonly string[]
}

function collect(
  oddities: readonly (readonly [probability: number, word: string, plan: () => Plan])[],
  from: Dice,
  /** How odd the whole chain is: a chain that is odd everywhere is refused by everybody. */
  mood: number,
): Said {
  let plan: Plan = {}
  const words: string[] = []
  for (const [probability, word, make] of oddities) {
    if (!from.chance(probability * mood)) continue
    words.push(word)
    const more = make()
    plan = {
      ...plan,
      ...more,
      extensions: [...(plan.extensions ?? []), ...(more.extensions ?? [])],
      omit: [...(plan.omit ?? []), ...(more.omit ?? [])],
    }
  }
  return { plan, words }
}

const extended = (...extensions: Extension[]): Plan => ({ extensions })

function policySayings(from: Dice, ca: boolean) {
  const { pick, some, below, chance } = from
  const maybe = () => (chance(0.5) ? below(3) : undefined)
  return [
    [
      0.35,
      'policies',
      () => extended(certificatePolicies([...new Set([pick(policies), ...some(policies)])], chance(0.3))),
    ],
    [
      ca ? 0.1 : 0.02,
      'mappings',
      () =>
        extended(
          policyMappings(
            listOf(1 + below(3), () => [pick(policies.slice(0, 3)), pick(policies.slice(0, 3))] as const),
            chance(0.7),
          ),
        ),
    ],
    [
      ca ? 0.12 : 0.04,
      'policyConstraints',
      () => extended(policyConstraints({ requireExplicit: maybe() ?? below(3), inhibitMapping: maybe() }, chance(0.8))),
    ],
    [ca ? 0.1 : 0.03, 'inhibitAnyPolicy', () => extended(inhibitAnyPolicy(below(3), chance(0.8)))],
  ] as const
}

const day = 86_400

function commonSayings(from: Dice) {
  const { chance, pick, below } = from
  return [
    [0.02, 'expired', () => ({ notAfter: fromNoon(-1) })],
    [0.02, 'to this second', () => ({ notAfter: fromNoon(0) })],
    [0.02, 'from this second', () => ({ notBefore: fromNoon(0) })],
    [0.02, 'future', () => ({ notBefore: fromNoon(1) })],
    [0.01, 'long', () => ({ notAfter: fromNoon(40 * 365 * day) })],
    [0.02, 'unknown critical extension', () => extended({ oid: '1.2.3.4.5', critical: true, value: octetString([]) })],
    [
      0.05,
      'unknown extension',
      () => extended({ oid: '1.2.3.4.6', critical: false, value: Uint8Array.of(below(256)) }),
    ],
    [0.02, 'no authorityKeyIdentifier', () => ({ omit: [id.authorityKeyIdentifier] })],
    [0.02, 'no subjectKeyIdentifier', () => ({ omit: [id.subjectKeyIdentifier] })],
    [
      0.02,
      'another authorityKeyIdentifier',
      () => extended({ oid: id.authorityKeyIdentifier, critical: false, value: sequence(primitive(0, [1, 2, 3, 4])) }),
    ],
    [
      0.01,
      'critical key identifier',
      () => extended({ oid: id.subjectKeyIdentifier, critical: true, value: octetString([1, 2, 3]) }),
    ],
    [0.02, 'signed by a stranger', () => ({ signer: poolKey(20) })],
    [0.02, 'serial', () => ({ serial: pick([0, 1, 255]) })],
    [
      0.01,
      'issuerAltName',
      () => extended({ oid: '2.5.29.18', critical: chance(0.3), value: sequence(dns('a.test')) }),
    ],
    [
      0.02,
      'cRLDistributionPoints',
      () =>
        extended({
          oid: '2.5.29.31',
          critical: chance(0.3),
          value: sequence(sequence(Uint8Array.of(0xa0, 2, 0xa0, 0))),
        }),
    ],
  ] as const
}

function sayingsOfCa(from: Dice, mood: number): Said {
  const { below, pick, chance, some } = from
  const subtrees = () => listOf(1 + below(3), () => baseFor(from))
  return collect(
    [
      ...commonSayings(from),
      ...policySayings(from, true),
      [0.02, 'no basicConstraints', () => ({ omit: [id.basicConstraints] })],
      [0.02, 'CA:FALSE', () => extended(basicConstraints(false))],
      [0.04, 'basicConstraints not critical', () => extended({ ...basicConstraints(true), critical: false })],
      [0.1, 'pathLength', () => ({ pathLength: below(3) })],
      [0.03, 'no keyUsage', () => ({ omit: [id.keyUsage] })],
      [0.02, 'another keyUsage', () => extended(keyUsage(pick([0x02, 0x80, 0x84, 0x04])))],
      [
        0.1,
        'extKeyUsage',
        () =>
          extended(
            extKeyUsage(
              [pick([purpose.client, purpose.any, purpose.server]), ...some(Object.values(purpose), 0.3)],
              chance(0.3),
            ),
          ),
      ],
      [0.2, 'permitted', () => extended(nameConstraints({ permitted: subtrees() }, chance(0.8)))],
      [0.15, 'excluded', () => extended(nameConstraints({ excluded: subtrees() }, chance(0.8)))],
      [0.02, 'names', () => ({ names: listOf(1 + below(2), () => nameFor(from)) })],
    ],
    from,
    mood,
  )
}

function sayingsOfLeaf(from: Dice, mood: number): Said {
  const { below, pick, chance, some } = from
  return collect(
    [
      ...commonSayings(from),
      ...policySayings(from, false),
      [0.8, 'names', () => ({ names: listOf(1 + below(3), () => nameFor(from)) })],
      [0.02, 'no extKeyUsage', () => ({ omit: [id.extKeyUsage] })],
      [
        0.1,
        'extKeyUsage',
        () =>
          extended(
            extKeyUsage(
              [
                pick([purpose.client, purpose.client, purpose.any, purpose.server]),
                ...some(Object.values(purpose), 0.3),
              ],
              chance(0.3),
            ),
          ),
      ],
      [0.03, 'no keyUsage', () => ({ omit: [id.keyUsage] })],
      [0.1, 'another keyUsage', () => extended(keyUsage(pick([0x80, 0xa0, 0xc0, 0x20, 0x08, 0x88, 0x84])))],
      [0.03, 'no basicConstraints', () => ({ omit: [id.basicConstraints] })],
      [0.02, 'a CA', () => ({ ca: true })],
      [0.03, 'empty subject', () => ({ subject: name() })],
      [0.02, 'nameConstraints', () => extended(nameConstraints({ permitted: [dns('test')] }))],
      [
        0.1,
        'emailAddress',
        () => ({ subject: name(organization(from), ['emailAddress', ia5(`alice@${pick(domains)}`)], ['CN', 'alice']) }),
      ],
      [0.05, 'a domain as common name', () => ({ subject: name(['CN', pick(domains)]) })],
    ],
    from,
    mood,
  )
}

/** Two extensions of one type are an error of their own: the last one that was chosen stays. */
function withoutRepeats(plan: Plan): Plan {
  const byType = new Map((plan.extensions ?? []).map((extension) => [extension.oid, extension]))
  return { ...plan, extensions: [...byType.values()] }
}

export function structuredChain(seed: number): Generated {
  const from = dice(seed)
  const { below, chance, pick } = from
  const mood = pick([0.2, 0.4, 0.7, 1])
  const story: string[] = []
  const serial = (i: number) => 0x1000_0000 + seed * 8 + i
  const named = (cn: string): Rdn[] => [organization(from), ['CN', `${cn} ${seed}`]]

  const rootSays = chance(0.3) ? sayingsOfCa(from, mood) : { plan: {}, words: [] }
  const root = forge({
    serial: serial(0),
    ...withoutRepeats(rootSays.plan),
    ca: true,
    subject: name(...named('Root')),
    key: poolKey(below(4)),
  })
  story.push(`root: ${rootSays.words.join(', ')}`)

  let issuer = root
  const via: Forged[] = []
  for (let i = 0, count = below(4); i < count; i++) {
    const { plan, words } = sayingsOfCa(from, mood)
    const subject = chance(0.12) ? issuer.subject : name(...named(`CA ${i}`))
    const key = poolKey(4 + i * 3 + below(3))
    const made = forge({ serial: serial(i + 1), ...withoutRepeats(plan), issuer, subject, key, ca: plan.ca ?? true })
    story.push(`CA ${i}${subject === issuer.subject ? ' (self-issued)' : ''}: ${words.join(', ')}`)
    via.push(made)
    issuer = made
  }
  const { plan, words } = sayingsOfLeaf(from, mood)
  const subject = name(organization(from), ['CN', 'alice'])
  const leaf = forge({ serial: serial(7), subject, ...withoutRepeats(plan), issuer, key: poolKey(16 + below(4)) })
  story.push(`leaf: ${words.join(', ')}`)
  return {
    seed,
    kind: 'structured',
    story: story.join(' | '),
    leaf: leaf.der,
    via: via.map(({ der }) => der),
    anchors: [root.der],
  }
}

/** A good chain with every extension there is, of which 1 to 3 octets of one certificate were changed before it was signed. */
export function mutatedChain(seed: number): Generated {
  const from = dice(seed ^ 0x5bd1_e995)
  const { below, chance, pick } = from
  const serial = (i: number) => 0x2000_0000 + seed * 8 + i
  const root = forge({
    serial: serial(0),
    subject: name(['O', 'Acme'], ['CN', `Root ${seed}`]),
    key: poolKey(below(4)),
  })
  const ca = forge({
    serial: serial(1),
    issuer: root,
    ca: true,
    pathLength: 0,
    subject: name(['O', printable('Acme')], ['CN', `CA ${seed}`]),
    key: poolKey(4 + below(4)),
    extensions: [
      nameConstraints({
        permitted: [dns('a.test'), email('a.test'), uri('.a.test'), ip('0a000000ff000000'), directory(['O', 'ACME'])],
        excluded: [dns('x.a.test'), email('x@a.test'), ip(`20010db8${'00'.repeat(12)}ffffffff${'00'.repeat(12)}`)],
      }),
      certificatePolicies(['1.3.5.1', '1.3.5.2']),
      policyMappings([['1.3.5.1', '1.3.5.3']]),
      policyConstraints({ requireExplicit: chance(0.3) ? 0 : 5, inhibitMapping: 1 }),
      inhibitAnyPolicy(1),
      extKeyUsage([purpose.client, purpose.email]),
    ],
  })
  const leaf = forge({
    serial: serial(2),
    issuer: ca,
    subject: name(['O', 'Acme'], ['OU', 'Sales'], ['CN', 'alice']),
    key: poolKey(8 + below(4)),
    names: [
      dns('b.a.test'),
      dns('*.b.a.test'),
      email('alice@a.test'),
      uri('https://b.a.test/x'),
      ip('0a000001'),
      directory(['O', 'Acme'], ['CN', 'y']),
    ],
    extensions: [certificatePolicies(['1.3.5.2', '1.3.5.3']), extKeyUsage([purpose.client])],
  })
  const victim = chance(0.5) ? 'leaf' : 'CA'
  const changes: string[] = []
  const tbs = Uint8Array.from(victim === 'leaf' ? leaf.tbs : ca.tbs)
  for (let i = 0, count = pick([1, 1, 2, 3]); i < count; i++) {
    const at = below(tbs.length)
    const before = tbs[at] as number
    const after = pick([before ^ (1 << below(8)), below(256), (before + 1) & 255, (before + 255) & 255])
    tbs[at] = after
    changes.push(`${at}: ${before.toString(16)}→${after.toString(16)}`)
  }
  const changed = seal(tbs, victim === 'leaf' ? ca.key : root.key)
  return {
    seed,
    kind: 'octets',
    story: `${victim} ${changes.join(', ')}`,
    leaf: victim === 'leaf' ? changed : leaf.der,
    via: [victim === 'CA' ? changed : ca.der],
    anchors: [root.der],
  }
}
