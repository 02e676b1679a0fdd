import {
  type CrlPlan,
  cRLDistributionPoints,
  type Entry,
  forgeCrl,
  freshestCRL,
  type Issuing,
  type Point,
  type Reason,
  reasonFlags,
  unknownExtension,
} from './crl-forge.js'
import { directory, type Extension, keyUsage, uri } from './path-der.js'
import { dice, type Forged, forge, fromNoon, type Key, poolKey } from './path-forge.js'

/** A random PKI with CRLs that are wrong in some way and signed correctly, or signed by somebody else. */
export interface CrlCase {
  readonly seed: number
  readonly leaf: Uint8Array
  readonly via: readonly Uint8Array[]
  readonly anchors: readonly Uint8Array[]
  readonly crls: readonly Uint8Array[]
  /** What was chosen beyond the plain case. */
  readonly story: string
}

type Dice = ReturnType<typeof dice>

/** Chooses, mostly the plain; tells what it chose otherwise. */
class Choices {
  readonly dice: Dice
  readonly told: string[] = []

  constructor(seed: number) {
    this.dice = dice(seed)
  }

  /** One of several; the first, which is not told, three times in four. */
  of<T>(what: string, options: Readonly<Record<string, T>>, plain = 0.75): T {
    const names = Object.keys(options)
    const name = this.dice.chance(plain) ? (names[0] as string) : this.dice.pick(names)
    if (name !== names[0]) this.told.push(`${what}: ${name}`)
    return options[name] as T
  }

  is(what: string, probability: number): boolean {
    const chosen = this.dice.chance(probability)
    if (chosen) this.told.push(what)
    return chosen
  }
}

const address = uri('http://crl.test/1')
const reasons: readonly Reason[] = ['keyCompromise', 'certificateHold', 'removeFromCRL', 'superseded']

/** Names differ from case to case: all share one pool of untrusted certificates and of CRLs. */
export function crlCase(seed: number): CrlCase {
  const choose = new Choices(seed)
  const key = (n: number) => poolKey(40 + ((seed * 5 + n) % 20))
  const named = (name: string) => `${name} ${seed}`
  const signing = choose.of('keyUsage of the root', { both: 0x06, 'no cRLSign': 0x04 }, 0.95)
  const root = forge({ subject: named('Root'), key: key(0), extensions: [keyUsage(signing)] })
  const omit = choose.is('no keyUsage in the CA', 0.1) ? ['2.5.29.15'] : []
  const ca = forge({ subject: named('CA'), issuer: root, ca: true, key: key(1), serial: 2, omit })
  const delegate = crlIssuerFor(choose, seed, root, ca, key(2))
  const points = pointsFor(choose, named('Delegate'))
  const leaf = forge({
    issuer: ca,
    key: key(3),
    serial: 7,
    extensions: [
      ...(points.length > 0 ? [cRLDistributionPoints(...points)] : []),
      // OpenSSL looks for delta CRLs only where the certificate or the CRL speaks of them.
      freshestCRL({ fullName: [address] }),
    ],
  })
  const crls = [
    ...crlsOf(choose, { issuer: root, serial: 2, others: [], stranger: key(4) }),
    ...crlsOf(choose, { issuer: ca, serial: 7, others: delegate === undefined ? [] : [delegate], stranger: key(4) }),
    ...indirectCrls(choose, ca, delegate),
  ]
  const order = choose.dice.chance(0.5) ? crls : crls.toReversed()
  const via = [ca, ...(delegate === undefined ? [] : [delegate])]
  return {
    seed,
    leaf: leaf.der,
    via: via.map(({ der }) => der),
    anchors: [root.der],
    crls: order,
    story: choose.told.join('; ') || 'plain',
  }
}

/** A CRL issuer beside the CA: of its name, with another key; or of a name of its own, for indirect CRLs. */
function crlIssuerFor(choose: Choices, seed: number, root: Forged, ca: Forged, key: Key): Forged | undefined {
  if (!choose.is('a separate CRL issuer', 0.4)) return undefined
  const subject = choose.of('named', { 'as the CA': `CA ${seed}`, apart: `Delegate ${seed}` }, 0.5)
  const issuer = choose.of('issued by', { 'the root': root, 'the CA': ca }, 0.8)
  const usage: Extension[] = choose.of('its keyUsage', { cRLSign: [keyUsage(0x02)], other: [keyUsage(0x80)] }, 0.85)
  const ended = choose.is('it has ended', 0.08) ? { notAfter: fromNoon(-60) } : {}
  return forge({ subject, issuer, key, serial: 3, extensions: usage, ...ended })
}

function pointsFor(choose: Choices, delegate: string): Point[] {
  const here: Point = { fullName: [address] }
  const half = reasonFlags.slice(0, 4)
  return choose.of<Point[]>(
    'distribution points',
    {
      none: [],
      one: [here],
      'of another address first': [{ fullName: [uri('http://crl.test/2')] }, here],
      'for some reasons': [{ ...here, reasons: half }],
      delegated: [{ cRLIssuer: [directory(['CN', delegate])] }],
      'delegated, with an address': [{ ...here, cRLIssuer: [directory(['CN', delegate])] }],
    },
    0.45,
  )
}

interface About {
  readonly issuer: Forged
  /** Of the certificate that is asked about. */
  readonly serial: number
  /** CRL issuers that may sign in its place. */
  readonly others: readonly Forged[]
  readonly stranger: Key
}

/** One CRL or several of a CA, complete and delta. */
function crlsOf(choose: Choices, about: About): Uint8Array[] {
  if (choose.is('a CA without a CRL', 0.03)) return []
  const plan = planFor(choose, about)
  const crls = [forgeCrl(about.issuer, plan)]
  if (choose.is('a delta CRL', 0.3)) crls.push(forgeCrl(about.issuer, deltaFor(choose, about, plan)))
  if (choose.is('an older CRL', 0.15)) {
    const older = { ...plan, number: 8, thisUpdate: -9000, entries: entriesFor(choose, about.serial) }
    crls.push(forgeCrl(about.issuer, older))
  }
  if (choose.is('a forged CRL', 0.1))
    crls.push(forgeCrl(about.issuer, { ...plan, signer: about.stranger, thisUpdate: -60 }))
  return crls
}

function planFor(choose: Choices, about: About): CrlPlan {
  const signers = Object.fromEntries(about.others.map((other, i) => [`CRL issuer ${i}`, other.key]))
  const signer = choose.of('signed by', { 'the CA': about.issuer.key, ...signers, stranger: about.stranger }, 0.7)
  const scope = scopeFor(choose)
  return {
    number: 10,
    thisUpdate: choose.of('begins', { before: -3600, later: 3600 }, 0.96),
    nextUpdate: choose.of('ends', { later: 3600, before: -60, never: null }, 0.9),
    entries: entriesFor(choose, about.serial),
    signer,
    ...(scope === undefined ? {} : { scope }),
    extensions: [
      ...choose.of('critical extension', { none: [], unknown: [unknownExtension(true)] }, 0.97),
      ...(choose.is('cRLNumber is critical', 0.02)
        ? [{ oid: '2.5.29.20', critical: true, value: Uint8Array.of(2, 1, 10) }]
        : []),
    ],
  }
}

function deltaFor(choose: Choices, about: About, plan: CrlPlan): CrlPlan {
  return {
    ...plan,
    thisUpdate: -1800,
    number: choose.of('its number', { newer: 12, same: 10, older: 9 }),
    base: choose.of('its base', { 'this one': 10, older: 9, newer: 11 }),
    nextUpdate: choose.of('it ends', { later: 3600, before: -60 }, 0.9),
    entries: entriesFor(choose, about.serial),
  }
}

function entriesFor(choose: Choices, serial: number): Entry[] {
  const others: Entry[] = choose.dice.chance(0.5) ? [{ serial: 99 }] : []
  const odd: Entry[] = choose.is('a critical entry extension', 0.02)
    ? [{ serial: 98, extensions: [unknownExtension(true)] }]
    : []
  if (!choose.is('listed', 0.15)) return [...others, ...odd]
  const reason = choose.of('for', Object.fromEntries(reasons.map((each) => [each, each])), 0.3)
  return [...others, { serial, reason }, ...odd]
}

function scopeFor(choose: Choices): Issuing | undefined {
  return choose.of<Issuing | undefined>(
    'scope',
    {
      all: undefined,
      users: { userCerts: true },
      CAs: { cACerts: true },
      attributes: { attributeCerts: true },
      address: { fullName: [address] },
      'another address and ours': { fullName: [uri('http://crl.test/9'), address] },
      'another address': { fullName: [uri('http://crl.test/9')] },
      'some reasons': { reasons: reasonFlags.slice(0, 4) },
      'all reasons': { reasons: reasonFlags },
      indirect: { indirect: true },
    },
    0.6,
  )
}

/** What the delegate says of the CA’s certificates. */
function indirectCrls(choose: Choices, ca: Forged, delegate: Forged | undefined): Uint8Array[] {
  if (delegate === undefined || Buffer.compare(delegate.subject, ca.subject) === 0) return []
  const issuer = [Uint8Array.from([0xa4, ca.subject.length, ...ca.subject])]
  const entries = choose.of<Entry[]>(
    'the delegate lists',
    {
      nobody: [],
      it: [{ serial: 7, issuer }],
      another: [{ serial: 8, issuer }],
      'its own': [{ serial: 7 }],
    },
    0.5,
  )
  const scope = choose.of<Issuing>('its scope', { indirect: { indirect: true }, own: { userCerts: true } }, 0.85)
  return [forgeCrl(delegate, { number: 10, entries, scope })]
}
