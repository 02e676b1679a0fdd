import { BlockList, isIP } from 'node:net'
import { ClientCertConfigError } from './errors.js'

/** A network in CIDR notation; an address alone is the network that holds nothing else. */
export interface AddressRange {
  readonly address: string
  readonly version: 4 | 6
  readonly prefix: number
}

/**
 * Reads a network as an operator writes it: `10.0.3.7`, `10.0.3.0/24`, `2001:db8::/48`. Throws {@link ClientCertConfigError} for everything
 * else, IPv4 addresses mapped into IPv6 and zones included: they would never match.
 *
 * @param option what to say about a range: `'10.0.3.0/33'`, quotes included, becomes `proxyAddress('10.0.3.0/33')`
 */
export function parseAddressRange(range: unknown, option: (written: string) => string): AddressRange {
  if (typeof range !== 'string')
    throw new ClientCertConfigError(
      `${option('…')}: expected addresses, got ${range === undefined ? 'nothing' : typeof range}`,
    )
  const written = option(`'${range}'`)
  const parts = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(range.trim())
  const address = parts?.[1]
  const version = address === undefined ? 0 : isIP(address)
  if (address === undefined || (version !== 4 && version !== 6) || address.includes('%')) {
    throw new ClientCertConfigError(
      `${written} is neither an address nor a range — '10.0.3.7' or '10.0.3.0/24'; host names are not resolved`,
    )
  }
  if (version === 6 && /^\[::ffff:[0-9a-f]{1,4}:[0-9a-f]{1,4}\]$/.test(new URL(`http://[${address}]`).hostname)) {
    throw new ClientCertConfigError(`${written} is an IPv4 address mapped into IPv6 — write it as IPv4`)
  }
  const bits = version === 4 ? 32 : 128
  const prefix = parts?.[2] === undefined ? bits : Number(parts[2])
  if (prefix > bits) throw new ClientCertConfigError(`${written}: an IPv${version} prefix has at most ${bits} bits`)
  return { address, version, prefix }
}

/** Networks, and what lies in them. */
export class AddressRanges {
  // One list for each version: in one, a range of IPv6 that spans ::ffff:0:0/96 would hold every IPv4 address.
  readonly #lists = { 4: new BlockList(), 6: new BlockList() }

  constructor(ranges: Iterable<AddressRange> = []) {
    for (const range of ranges) this.add(range)
  }

  add({ address, version, prefix }: AddressRange): void {
    this.#lists[version].addSubnet(address, prefix, `ipv${version}`)
  }

  /** Whether the address, without zone and with IPv4 as IPv4, lies in one of them. What is no address lies nowhere. */
  holds(address: string): boolean {
    const version = isIP(address)
    return (version === 4 || version === 6) && this.#lists[version].check(address, `ipv${version}`)
  }
}

/**
 * The one way of writing an address: IPv4 in dotted decimals, also where it was mapped into IPv6 (a connection to it goes to the IPv4 address),
 * IPv6 as RFC 5952 writes it. Undefined for what is no address, and for one with a zone, which says what it is only on this machine.
 */
export function plainAddress(text: string): string | undefined {
  const version = isIP(text)
  if (version === 4) return text
  if (version !== 6 || text.includes('%')) return undefined
  const groups = groupsOf(text)
  const isMapped = groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)
  return isMapped ? lastAsIpv4(groups) : canonical(text)
}

const canonical = (address: string) => new URL(`http://[${address}]`).hostname.slice(1, -1)

/** The eight groups of an IPv6 address. */
export function groupsOf(address: string): number[] {
  const [before = [], after = []] = canonical(address)
    .split('::')
    .map((part) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))))
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

/**
 * An IPv4 address, or the /64 network of an IPv6 address: the other half is the interface's to choose (RFC 4291 §2.5.1). Undefined for what is no
 * address; a zone is left out.
 */
export function networkOf(text: string): string | undefined {
  const address = plainAddress(text.replace(/%.*$/s, ''))
  if (address === undefined || !address.includes(':')) return address
  const groups = groupsOf(address).slice(0, 4)
  return `${groups.map((group) => group.toString(16)).join(':')}::/64`
}

/** Of an IPv6 address that holds an IPv4 address in its last 32 bits: that one. */
export function lastAsIpv4(groups: readonly number[]): string {
  const [high = 0, low = 0] = groups.slice(6)
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
}
