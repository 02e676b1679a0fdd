import { type AnyClientCertError, deny } from '../errors.js'
import type { Certificate } from '../x509/certificate.js'
import type { GeneralSubtree } from '../x509/extensions.js'
import { type GeneralName, isHost } from '../x509/general-name.js'
import type { DistinguishedName } from '../x509/name.js'
import { attributeType, oid } from '../x509/oid.js'
import type { Budget } from './budget.js'
import { refuseExtension } from './extension-profile.js'
import { DomainSet, NetworkSet, parentOf } from './subtree-sets.js'

/**
 * RFC 5280 §4.2.1.10. Each CA's constraints are digested once into sets that a name is looked up in by its own suffixes or prefixes, so that
 * the cost is names plus constraints and never their product (CVE-2025-58187, CVE-2026-27145).
 */
export interface ConstraintIndex {
  readonly permitted: SubtreeIndex
  readonly excluded: SubtreeIndex
}

/** The forms this package compares; a constraint on any other form refuses every name of that form. */
type Form = 'dNSName' | 'rfc822Name' | 'uniformResourceIdentifier' | 'iPAddress' | 'directoryName' | 'unsupported'

interface SubtreeIndex {
  /** Forms that have at least one subtree. */
  readonly forms: ReadonlySet<Form>
  /** Other forms, by name, that have at least one. */
  readonly unsupported: ReadonlySet<GeneralName['type']>
  readonly dns: DomainSet
  /** Domains one label above a dNSName subtree: what a wildcard could reach into. */
  readonly dnsParents: ReadonlySet<string>
  readonly mailboxes: ReadonlySet<string>
  /** The same without quotation marks and escapes: what an excluded mailbox is looked up in. */
  readonly plainMailboxes: ReadonlySet<string>
  readonly mailHosts: ReadonlySet<string>
  /** Without the leading dot: the domains below these, not themselves. */
  readonly mailDomains: DomainSet
  readonly uriHosts: ReadonlySet<string>
  readonly uriDomains: DomainSet
  /** By octets of the address: IPv4 and IPv6 are different names. */
  readonly networks: { readonly 4: NetworkSet; readonly 16: NetworkSet }
  readonly directories: ReadonlySet<string>
}

const remembered = new WeakMap<Certificate, ConstraintIndex>()

/** The constraints a CA certificate imposes on what is below it; undefined where it imposes none. */
export function constraintsOf(certificate: Certificate, depth: number): ConstraintIndex | undefined {
  const { nameConstraints } = certificate.extensions
  if (nameConstraints === undefined) return undefined
  const known = remembered.get(certificate)
  if (known !== undefined) return known
  const refuse = (reason: string) => refuseExtension(certificate, oid.nameConstraints, depth, reason)
  const index = {
    permitted: indexOf(nameConstraints.permittedSubtrees ?? [], refuse),
    excluded: indexOf(nameConstraints.excludedSubtrees ?? [], refuse),
  }
  remembered.set(certificate, index)
  return index
}

function indexOf(subtrees: readonly GeneralSubtree[], refuse: (reason: string) => Error): SubtreeIndex {
  const index = {
    forms: new Set<Form>(),
    unsupported: new Set<GeneralName['type']>(),
    dns: new DomainSet(),
    dnsParents: new Set<string>(),
    mailboxes: new Set<string>(),
    plainMailboxes: new Set<string>(),
    mailHosts: new Set<string>(),
    mailDomains: new DomainSet(),
    uriHosts: new Set<string>(),
    uriDomains: new DomainSet(),
    networks: { 4: new NetworkSet(), 16: new NetworkSet() },
    directories: new Set<string>(),
  }
  for (const { base, minimum, maximum } of subtrees) {
    // §4.2.1.10: minimum MUST be zero and maximum absent; there is no meaning to give anything else.
    if (minimum !== 0 || maximum !== undefined) throw refuse('a name constraint has a minimum or maximum')
    switch (base.type) {
      case 'dNSName': {
        const domain = base.value.toLowerCase()
        if (domain !== '' && !isHost(domain)) throw refuse('a dNSName constraint is no domain')
        index.forms.add('dNSName')
        index.dns.add(domain)
        if (domain !== '') index.dnsParents.add(parentOf(domain))
        break
      }
      case 'rfc822Name':
        index.forms.add('rfc822Name')
        addMail(index, base.value, refuse)
        break
      case 'uniformResourceIdentifier':
        index.forms.add('uniformResourceIdentifier')
        addHostOrDomain(index.uriHosts, index.uriDomains, base.value, refuse, 'URI')
        break
      case 'iPAddress':
        index.forms.add('iPAddress')
        addNetwork(index.networks, base.octets, refuse)
        break
      case 'directoryName':
        index.forms.add('directoryName')
        index.directories.add(base.value.comparisonKey)
        break
      default:
        index.forms.add('unsupported')
        index.unsupported.add(formOf(base.type))
    }
  }
  return index
}

/** Every otherName is one form to a constraint, whether we can read it as a name or not. */
const formOf = (type: GeneralName['type']): GeneralName['type'] =>
  type === 'userPrincipalName' || type === 'smtpUtf8Mailbox' ? 'otherName' : type

/** A mailbox, a host, or with a leading dot every host below a domain. */
function addMail(
  index: {
    mailboxes: Set<string>
    plainMailboxes: Set<string>
    mailHosts: Set<string>
    mailDomains: DomainSet
  },
  value: string,
  refuse: (reason: string) => Error,
): void {
  const sign = value.lastIndexOf('@')
  if (sign < 0) {
    addHostOrDomain(index.mailHosts, index.mailDomains, value, refuse, 'rfc822Name')
    return
  }
  const host = value.slice(sign + 1).toLowerCase()
  const local = value.slice(0, sign)
  if (!isLocalPart(local) || !isHost(host)) throw refuse('an rfc822Name constraint is no mailbox')
  index.mailboxes.add(`${local}@${host}`)
  index.plainMailboxes.add(`${plainLocalPart(local)}@${host}`)
}

/** RFC 5321 §4.1.2 as far as it takes to know where it ends: a quoted string, or nothing of what RFC 5322 gives a meaning to. */
const isLocalPart = (local: string) => /^(?:"(?:[^"\\]|\\.)*"|[^\s"(),:;<>@[\\\]]+)$/.test(local)

/** RFC 5321 §4.1.2: a quoted local part names the same mailbox as the plain one. */
const plainLocalPart = (local: string) => (local.startsWith('"') ? local.slice(1, -1).replace(/\\(.)/g, '$1') : local)

function addHostOrDomain(
  hosts: Set<string>,
  domains: DomainSet,
  value: string,
  refuse: (reason: string) => Error,
  form: string,
): void {
  const lower = value.toLowerCase()
  if (lower === '') domains.add('')
  else if (lower.startsWith('.') && isHost(lower.slice(1))) domains.add(lower.slice(1))
  else if (isHost(lower)) hosts.add(lower)
  else throw refuse(`a ${form} constraint is neither a host nor a domain`)
}

/** §4.2.1.10: address and mask; a mask with holes is no network (RFC 4632). */
function addNetwork(networks: SubtreeIndex['networks'], octets: Uint8Array, refuse: (reason: string) => Error): void {
  const size = octets.length === 8 ? 4 : 16
  const mask = octets.subarray(size)
  if (!isContiguous(mask)) throw refuse('the mask of an iPAddress constraint has holes')
  networks[size].add(octets.subarray(0, size), mask)
}

function isContiguous(mask: Uint8Array): boolean {
  const firstZero = mask.findIndex((octet) => octet !== 0xff)
  if (firstZero < 0) return true
  const edge = ~(mask[firstZero] as number) & 0xff
  return (edge & (edge + 1)) === 0 && mask.subarray(firstZero + 1).every((octet) => octet === 0)
}

// Checking names ---------------------------------------------------------------------------------------------------

/**
 * RFC 5280 §6.1.3 (b) and (c): every name of the certificate is within a permitted subtree of its form of every CA that has one, and within no
 * excluded subtree of any.
 */
export function checkNames(
  certificate: Certificate,
  depth: number,
  constraints: readonly ConstraintIndex[],
  budget: Budget,
): void {
  if (constraints.length === 0) return
  for (const name of constrainedNames(certificate)) {
    for (const { permitted, excluded } of constraints) {
      budget.spendNameComparison()
      const violation = violationOf(name, permitted, excluded)
      if (violation !== undefined) throw refuseName(certificate, depth, name, violation)
    }
  }
}

/** §4.2.1.10: subject alternative names, the subject, and the subject's emailAddress: also where there is a SAN, which is stricter than the RFC. */
function* constrainedNames({ subject, extensions }: Certificate): Generator<GeneralName, void, void> {
  if (!subject.isEmpty) yield { type: 'directoryName', value: subject }
  // One that is no text cannot be compared, and must not be passed over: it becomes a mailbox that no reader can read.
  for (const { type, value = '' } of subject.rdns.flat()) if (type === emailAddress) yield { type: 'rfc822Name', value }
  yield* extensions.subjectAltName ?? []
}

const emailAddress = attributeType('emailAddress')

type Violation = 'excluded' | 'not-permitted' | 'not-supported'

function violationOf(name: GeneralName, permitted: SubtreeIndex, excluded: SubtreeIndex): Violation | undefined {
  const form = formOf(name.type)
  if (permitted.unsupported.has(form) || excluded.unsupported.has(form)) return 'not-supported'
  const matcher = matcherOf(name)
  if (matcher === undefined) return undefined
  const isConstrained = permitted.forms.has(matcher.form) || excluded.forms.has(matcher.form)
  if (!isConstrained) return undefined
  if (matcher.isIllegible) return 'not-supported'
  if (excluded.forms.has(matcher.form) && matcher.couldBeIn(excluded)) return 'excluded'
  if (permitted.forms.has(matcher.form) && !matcher.isWithin(permitted)) return 'not-permitted'
  return undefined
}

interface Matcher {
  readonly form: Form
  /** The name cannot be compared, so that any constraint on its form refuses it. */
  readonly isIllegible?: boolean
  /** Everything the name stands for is within one of the subtrees. */
  isWithin(index: SubtreeIndex): boolean
  /** Something the name stands for is within one of the subtrees. */
  couldBeIn(index: SubtreeIndex): boolean
}

function matcherOf(name: GeneralName): Matcher | undefined {
  switch (name.type) {
    case 'dNSName':
      return matchDns(name.value.toLowerCase())
    case 'rfc822Name':
    case 'smtpUtf8Mailbox':
      return matchMail(name.value)
    case 'uniformResourceIdentifier':
      return matchUri(name.value)
    case 'iPAddress':
      return plain('iPAddress', ({ networks }) => networks[name.octets.length === 4 ? 4 : 16].holds(name.octets))
    case 'directoryName':
      return plain('directoryName', ({ directories }) => isBelow(name.value, directories))
    default:
      return undefined
  }
}

const plain = (form: Form, isWithin: Matcher['isWithin']): Matcher => ({ form, isWithin, couldBeIn: isWithin })

/** A wildcard stands for one label: all of it has to be permitted, and none of it may be excluded (CVE-2025-61727). */
function matchDns(name: string): Matcher {
  if (!name.startsWith('*.')) return plain('dNSName', ({ dns }) => dns.holds(name))
  const domain = name.slice(2)
  return {
    form: 'dNSName',
    isWithin: ({ dns }) => dns.holds(domain),
    couldBeIn: ({ dns, dnsParents }) => dns.holds(domain) || dnsParents.has(domain),
  }
}

/**
 * The local part counts exactly (§7.5), the host in any case; what is excluded is so in quotation marks too. An SmtpUTF8Mailbox falls under
 * the same constraints (RFC 9598 §6).
 */
function matchMail(name: string): Matcher {
  const sign = name.lastIndexOf('@')
  const local = name.slice(0, sign)
  const host = name.slice(sign + 1).toLowerCase()
  const isAtHost = ({ mailHosts, mailDomains }: SubtreeIndex) => mailHosts.has(host) || mailDomains.holdsBelow(host)
  return {
    form: 'rfc822Name',
    // The emailAddress of a subject was not read as a mailbox: `a@evil.test,b@good.test` is none.
    isIllegible: sign < 0 || !isLocalPart(local) || !isHost(host),
    isWithin: (index) => index.mailboxes.has(`${local}@${host}`) || isAtHost(index),
    couldBeIn: (index) => index.plainMailboxes.has(`${plainLocalPart(local)}@${host}`) || isAtHost(index),
  }
}

/**
 * The host of an authority that is written as RFC 3986 §3.2 says and in no other way, so that every reader finds the same one (browsers end it at
 * a backslash).
 */
const uriHost = /^[^:]+:\/\/(?:[\w.~!$&'()*+,;=:%-]*@)?([^@:/?#]*)(?::\d*)?(?=[/?#]|$)/

/** What browsers and inet_aton read as an IPv4 address: `127.0.0.1`, `127.1`, `0x7f000001`. */
const endsInNumber = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/

/** §4.2.1.10: the host of the authority; without one, or with an address for one, a constrained URI is refused. */
function matchUri(name: string): Matcher {
  const host = (uriHost.exec(name)?.[1] ?? '').toLowerCase()
  const isWithin: Matcher['isWithin'] = ({ uriHosts, uriDomains }) => uriHosts.has(host) || uriDomains.holdsBelow(host)
  const isIllegible = !isHost(host) || endsInNumber.test(host)
  return { form: 'uniformResourceIdentifier', isIllegible, isWithin, couldBeIn: isWithin }
}

/** §7.1: the subtree's relative distinguished names are the first ones of the name. */
function isBelow(name: DistinguishedName, directories: ReadonlySet<string>): boolean {
  return name.prefixKeys.some((key) => directories.has(key))
}

function refuseName(
  certificate: Certificate,
  depth: number,
  name: GeneralName,
  violation: Violation,
): AnyClientCertError {
  const value = 'value' in name ? name.value.toString() : 'oid' in name ? name.oid : ''
  const subject = certificate.subject.toString()
  return deny(
    'ERR_CLIENT_CERT_NAME_CONSTRAINTS',
    { subject, form: formOf(name.type), name: value, violation },
    { depth },
  )
}
