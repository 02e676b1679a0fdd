import {
  type Attribute,
  basicConstraints,
  dns,
  type Extension,
  extKeyUsage,
  id,
  ip,
  keyUsage,
  name,
  nameConstraints,
  octetString,
  purpose,
} from './path-der.js'
import { dice, type Forged, forge, fromNoon, type Plan, poolKey } from './path-forge.js'

/**
 * Graphs of certificates, each from its seed alone: CAs that certify each other with some edges broken, one client, some anchors. Beside them the
 * verdict of {@link hasPath}, which tries every path there is and knows no more than the plan of each certificate.
 */

/** A CA: one name may have several keys. `key` is its number in the pool. */
export interface Entity {
  readonly name: string
  readonly key: number
}

/** What is wrong with a certificate. `wrong identifiers` are only odd: they are hints (RFC 4158 §3.5.12). */
export type Flaw =
  | 'expired'
  | 'not yet valid'
  | 'other purpose'
  | 'not a CA'
  | 'no basicConstraints'
  | 'no keyCertSign'
  | 'signed by nobody'
  | 'short'
  | 'wrong identifiers'

/** Names that count for constraints. */
interface Names {
  readonly dns: readonly string[]
  /** Octets. */
  readonly ip: readonly string[]
}

interface Constraints {
  readonly permitted: Names
  readonly excluded: Names
}

/** A certificate as it is planned. The client issues nothing. */
export interface Edge {
  readonly subject: Entity | 'client'
  readonly issuer: Entity
  readonly flaw: Flaw | undefined
  readonly constraints: Constraints | undefined
}

export interface Graph {
  readonly seed: number
  readonly anchors: readonly Entity[]
  readonly client: Edge
  readonly edges: readonly Edge[]
  readonly commonName: string
  readonly names: Names
}

const domains = ['test', 'good.test', 'a.good.test', 'bad.test', 'xgood.test', 'GOOD.test']
const addresses = ['7f000001', '7f000101', '01010101', '20010db8000000000000000000000001']
/** Octets of the address and of the mask. */
const networks = [
  '7f000000ffffff00',
  '7f000000ff000000',
  '01010100ffffff00',
  `20010db8${'0'.repeat(24)}${'f'.repeat(8)}${'0'.repeat(24)}`,
]
/** The number of a key that nobody has. */
const nobody = 23

const flaws: readonly Flaw[] = [
  'expired',
  'not yet valid',
  'other purpose',
  'not a CA',
  'no basicConstraints',
  'no keyCertSign',
  'signed by nobody',
  'short',
  'wrong identifiers',
]
/** What a client may have, too. */
const clientFlaws: readonly Flaw[] = ['expired', 'not yet valid', 'other purpose', 'signed by nobody']

export function randomGraph(seed: number): Graph {
  const { below, chance, pick, some } = dice(seed)
  const count = 3 + below(4)
  // One kind of trouble at a time: a path that is broken in three ways tells little about each.
  const rolling = pick([0.1, 0.1, 0.6])
  const brokenness = pick([0.05, 0.2, 0.45])
  const constrained = pick([0, 0.15, 0.9])
  const entities = Array.from(
    { length: count },
    (_, i): Entity => ({ name: `CA ${chance(rolling) ? below(i + 1) : i}`, key: i }),
  )
  const constraints = (): Constraints => {
    const subtrees = (probability: number) => ({ dns: some(domains, probability), ip: some(networks, probability) })
    return { permitted: chance(0.6) ? subtrees(0.5) : none, excluded: chance(0.5) ? subtrees(0.15) : none }
  }
  const edge = (subject: Entity | 'client', issuer: Entity): Edge => ({
    subject,
    issuer,
    flaw: chance(subject === 'client' ? 0.06 : brokenness)
      ? pick(subject === 'client' ? clientFlaws : chance(0.3) ? (['short'] as const) : flaws)
      : undefined,
    constraints: subject !== 'client' && chance(constrained) ? constraints() : undefined,
  })
  // An issuer with a lower number, so that most graphs lead somewhere; and some that lead in circles.
  const edges = entities.slice(1).map((subject, i) => edge(subject, entities[below(i + 1)] as Entity))
  for (let i = below(7); i > 0; i--) edges.splice(below(edges.length), 0, edge(pick(entities), pick(entities)))
  return {
    seed,
    anchors: [entities[0] as Entity, ...some(entities.slice(1), 0.08)],
    client: edge('client', chance(0.7) ? (entities[count - 1] as Entity) : pick(entities)),
    edges,
    commonName: pick(['alice', 'bad.test', '1.1.1.1']),
    names: { dns: some(['good.test', 'a.good.test', 'bad.test', 'other'], 0.25), ip: some(addresses, 0.2) },
  }
}

const none: Names = { dns: [], ip: [] }

// The verdict ---------------------------------------------------------------------------------------------------

const isSame = (a: Entity, b: Entity) => a.name === b.name && a.key === b.key
const isSelfIssued = ({ subject, issuer }: Edge) => subject !== 'client' && subject.name === issuer.name

/** Whether any path is valid: RFC 5280 §6.1 over every one of them that has no certificate twice. */
export function hasPath(graph: Graph): boolean {
  return leadsHome(graph, [graph.client])
}

/** @param path the client first */
function leadsHome(graph: Graph, path: readonly Edge[]): boolean {
  const { issuer } = path.at(-1) as Edge
  if (graph.anchors.some((anchor) => isSame(anchor, issuer)) && isValid(graph, path)) return true
  const above = graph.edges.filter(({ subject }) => subject !== 'client' && isSame(subject, issuer))
  return above.some((next) => !path.includes(next) && leadsHome(graph, [...path, next]))
}

function isValid({ names }: Graph, path: readonly Edge[]): boolean {
  return path.every((edge, depth) => {
    if (!isPermitted(names, edge.constraints)) return false
    // §4.2.1.9: a pathLenConstraint counts the intermediates below that are not self-issued.
    if (edge.flaw === 'short') return path.slice(1, depth).every(isSelfIssued)
    return edge.flaw === undefined || edge.flaw === 'wrong identifiers'
  })
}

/** RFC 5280 §4.2.1.10, for each form that a list speaks of. */
function isPermitted(names: Names, constraints: Constraints | undefined): boolean {
  if (constraints === undefined) return true
  const { permitted, excluded } = constraints
  return (
    names.dns.every((each) => permitted.dns.length === 0 || permitted.dns.some((base) => isDomainBelow(each, base))) &&
    names.ip.every((each) => permitted.ip.length === 0 || permitted.ip.some((network) => isInNetwork(each, network))) &&
    !names.dns.some((each) => excluded.dns.some((base) => isDomainBelow(each, base))) &&
    !names.ip.some((each) => excluded.ip.some((network) => isInNetwork(each, network)))
  )
}

const isDomainBelow = (domain: string, base: string) => `.${domain}`.toLowerCase().endsWith(`.${base}`.toLowerCase())

function isInNetwork(address: string, network: string): boolean {
  if (network.length !== 2 * address.length) return false
  const [start, mask] = [network.slice(0, address.length), network.slice(address.length)].map((hex) =>
    BigInt(`0x${hex}`),
  )
  return (BigInt(`0x${address}`) & (mask as bigint)) === start
}

// The certificates ----------------------------------------------------------------------------------------------

export function forgeGraph({ anchors, client, edges, commonName, names }: Graph) {
  return {
    anchors: anchors.map((entity) => forge({ subject: entity.name, key: poolKey(entity.key) })),
    leaf: forge({
      ...planOf(client),
      subject: name(['CN', commonName] as Attribute),
      names: generalNames(names),
    }),
    via: edges.map((edge) => forge(planOf(edge))),
  }
}

const generalNames = (names: Names): Uint8Array[] => [...names.dns.map(dns), ...names.ip.map(ip)]

function planOf({ subject, issuer, flaw, constraints }: Edge): Plan {
  const ca = subject !== 'client'
  const extensions: Extension[] = []
  if (constraints !== undefined) extensions.push(...constraintsOf(constraints))
  if (flaw === 'other purpose') extensions.push(extKeyUsage([purpose.server]))
  if (flaw === 'no keyCertSign') extensions.push(keyUsage(0x02))
  if (flaw === 'not a CA') extensions.push(basicConstraints(false))
  const wrong = octetString(poolKey(nobody).id)
  if (flaw === 'wrong identifiers') extensions.push({ oid: id.subjectKeyIdentifier, critical: false, value: wrong })
  return {
    ca,
    ...(ca ? { subject: subject.name, key: poolKey(subject.key) } : {}),
    issuer: entityAsIssuer(issuer),
    ...(flaw === 'signed by nobody' ? { signer: poolKey(nobody) } : {}),
    ...(flaw === 'expired' ? { notAfter: fromNoon(-1) } : {}),
    ...(flaw === 'not yet valid' ? { notBefore: fromNoon(1) } : {}),
    ...(flaw === 'short' ? { pathLength: 0 } : {}),
    ...(flaw === 'no basicConstraints' ? { omit: [id.basicConstraints] } : {}),
    extensions,
  }
}

const entityAsIssuer = ({ name: subject, key }: Entity): Forged => ({
  der: new Uint8Array(),
  tbs: new Uint8Array(),
  subject: name(['CN', subject]),
  key: poolKey(key),
})

/** A list that is empty may not be written. */
function constraintsOf({ permitted, excluded }: Constraints): Extension[] {
  const lists = { permitted: generalNames(permitted), excluded: generalNames(excluded) }
  const given = Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0))
  return Object.keys(given).length === 0 ? [] : [nameConstraints(given)]
}
