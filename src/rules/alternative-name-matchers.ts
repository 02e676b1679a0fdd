import { BlockList, isIP } from 'node:net'
import { ClientCertConfigError } from '../errors.js'
import { isHost } from '../x509/general-name.js'
import { call } from './call.js'
import { oneOf, operandOf } from './operands.js'
import type { Rule } from './rule.js'

/**
 * One subjectAltName dNSName is this host name; ASCII case does not matter. `*.` in front stands for exactly one label. A wildcard in the
 * certificate is no wildcard here, and matches nothing.
 *
 * @example
 * rules.dnsName('api.acme.example')
 * rules.dnsName('*.svc.acme.example')   // a.svc.acme.example; not a.b.svc.acme.example, not svc.acme.example
 */
export function dnsName(name: string): Rule {
  const wanted = operandOf('dnsName', name)
  const parent = wanted.startsWith('*.') ? wanted.slice(2) : undefined
  if ((parent ?? wanted).includes('*')) {
    throw new ClientCertConfigError(
      `${call('dnsName', name)}: "*" stands for one whole label, in front — "*.svc.acme.example"; or name each host: any(dnsName("a.example"), …)`,
    )
  }
  // As written: lower-casing turns some letters beyond ASCII, such as the Kelvin sign, into ASCII ones.
  if (!isHost(parent ?? wanted)) {
    throw new ClientCertConfigError(
      `${call('dnsName', name)} is not a host name — letters, digits, hyphens and dots; internationalised names as xn--…`,
    )
  }
  const host = (parent ?? wanted).toLowerCase()
  const matches =
    parent === undefined
      ? (found: string) => found.toLowerCase() === host
      : (found: string) =>
          !found.startsWith('*') && found.slice(found.indexOf('.') + 1).toLowerCase() === host && found.includes('.')
  return oneOf('dnsName', name, ({ names }) => names.dns, matches)
}

/** One subjectAltName uniformResourceIdentifier is this URI: scheme and host in any case, the rest character for character (RFC 5280 §7.4). */
export function uri(name: string): Rule {
  const written = operandOf('uri', name)
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+$/.test(written)) {
    throw new ClientCertConfigError(
      `${call('uri', name)} is not an absolute URI in ASCII — scheme:…, other characters percent-encoded`,
    )
  }
  const wanted = normalizeUri(written)
  return oneOf(
    'uri',
    name,
    ({ names }) => names.uri,
    (found) => normalizeUri(found) === wanted,
  )
}

/** @internal Lower-cases scheme and host; user information and everything after the authority stay as they are. */
export function normalizeUri(text: string): string {
  const parts = /^([^:]+:)(\/\/(?:[^/?#@]*@)?)?([^/?#]*)(.*)$/s.exec(text)
  if (parts === null) return text
  const [, scheme, slashes, host, rest] = parts as unknown as [string, string, string | undefined, string, string]
  return slashes === undefined
    ? scheme.toLowerCase() + host + rest
    : scheme.toLowerCase() + slashes + host.toLowerCase() + rest
}

/** One subjectAltName rfc822Name is this mailbox: the local part exactly, the domain in any case (RFC 5280 §7.5). Subject emailAddress does not count. */
export function email(address: string): Rule {
  const written = operandOf('email', address)
  const wanted = normalizeMailbox(written)
  const domain = /^[^@\s]+@([^@\s]+)$/.exec(written)?.[1] ?? ''
  if (!isHost(domain) && !/^\[[0-9A-Za-z.:]+\]$/.test(domain)) {
    throw new ClientCertConfigError(
      `${call('email', address)} is not a mailbox — local@domain, an internationalised domain as xn--…`,
    )
  }
  return oneOf(
    'email',
    address,
    ({ names }) => names.email,
    (found) => normalizeMailbox(found) === wanted,
  )
}

/** @internal */
export function normalizeMailbox(text: string): string {
  const sign = text.lastIndexOf('@')
  // The domain is ASCII in every certificate we read, so that lower-casing it cannot change its meaning.
  return text.slice(0, sign + 1) + text.slice(sign + 1).toLowerCase()
}

/**
 * One subjectAltName iPAddress is this address or lies in this network (CIDR). It says what the certificate names, not where the client
 * connects from.
 *
 * @example
 * rules.ip('10.4.0.0/16')
 */
export function ip(range: string): Rule {
  const written = operandOf('ip', range)
  const fail = (reason: string) => new ClientCertConfigError(`${call('ip', range)} ${reason}`)
  const [, address = '', digits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(written.trim()) ?? []
  const version = isIP(address)
  if (version === 0 || address.includes('%'))
    throw fail('is neither an address nor a network — "10.4.0.7" or "10.4.0.0/16"')
  const bits = version === 4 ? 32 : 128
  const prefix = digits === undefined ? bits : Number(digits)
  if (prefix > bits) throw fail(`has a prefix of more than ${bits} bits`)
  if (prefix === 0) throw fail('would hold for every address — name the networks you mean')
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const network = new BlockList()
  network.addSubnet(address, prefix, family)
  if (!isNetworkAddress(address, prefix, family)) {
    throw fail(
      'is an address inside of its network — write the network, with zeros after the prefix, or the address alone',
    )
  }
  return oneOf(
    'ip',
    range,
    ({ names }) => names.ip,
    // A certificate's address is of one version: an IPv4 address mapped into IPv6 is sixteen octets, and no IPv4 address.
    (found) => isIP(found) === version && network.check(found, family),
  )
}

/** Whether an address has zeros after the prefix: then no smaller address lies in its network. */
function isNetworkAddress(address: string, prefix: number, family: 'ipv4' | 'ipv6'): boolean {
  const octets = octetsOf(address, family)
  return octets.every((octet, i) => (octet & (0xff >> Math.min(8, Math.max(0, prefix - 8 * i)))) === 0)
}

function octetsOf(address: string, family: 'ipv4' | 'ipv6'): number[] {
  if (family === 'ipv4') return address.split('.').map(Number)
  // The URL parser writes every IPv6 address as RFC 5952 does, without dotted parts.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const groups = (text: string | undefined) => (text ? text.split(':').map((group) => Number.parseInt(group, 16)) : [])
  const [before, after] = [groups(head), groups(tail)]
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
  return all.flatMap((group) => [group >> 8, group & 0xff])
}

/**
 * One user principal name (subjectAltName otherName 1.3.6.1.4.1.311.20.2.3) is this one. ASCII case does not matter, as in Active Directory;
 * other letters are compared as they are.
 */
export function upn(name: string): Rule {
  const written = operandOf('upn', name)
  if (!/^[^@\s]+@[^@\s]+$/u.test(written)) {
    throw new ClientCertConfigError(`${call('upn', name)} is not a user principal name — user@domain`)
  }
  const wanted = lowerAscii(written)
  return oneOf(
    'upn',
    name,
    ({ names }) => names.upn,
    (found) => lowerAscii(found) === wanted,
  )
}

const lowerAscii = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
