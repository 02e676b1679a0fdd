import { BlockList, isIP } from 'node:net'
import { ClientCertConfigError } from '../errors.js'
import { LruMap } from '../lru-map.js'
import type { AnyRequest } from './source.js'

/**
 * A gate: decides whether the peer of a connection may send forwarded certificates. It sees the connection, never what a header says about
 * it. Only `true` admits; what it throws refuses (500).
 */
export interface TrustedProxy {
  /** How it was written, for the operator: `proxyAddress('10.0.0.0/8')`. */
  readonly description: string
  /** @param at milliseconds since 1970. A promise only where something has to be waited for. */
  admits(request: AnyRequest, at: number): boolean | Promise<boolean>
}

/** A gate that answers at once. */
export interface SynchronousGate extends TrustedProxy {
  admits(request: AnyRequest, at?: number): boolean
}

const widestIpv4 = 16
const widestIpv6 = 48
/** Addresses whose answer is remembered. */
const peers = 256

/**
 * Admits peers by the remote address of their connection: addresses or CIDR ranges. An IPv4 address mapped into IPv6 counts as IPv4. A peer
 * without an address (a Unix socket, a connection that was reset) passes nothing. `X-Forwarded-For`, `req.ip` and `trust proxy` have no say.
 *
 * @example
 * forwardedHeader({ preset: 'nginx', headers: { certificate: 'X-SSL-Client-Cert' }, from: proxyAddress('10.0.3.0/24', '::1') })
 */
export function proxyAddress(first: string, ...rest: readonly string[]): SynchronousGate {
  const ranges = [first, ...rest]
  // One list for each version: in one, a range of IPv6 that spans ::ffff:0:0/96 would hold every IPv4 address.
  const lists = { 4: new BlockList(), 6: new BlockList() }
  for (const range of ranges) addRange(lists, range)
  const check = (peer: string) => {
    const address = normalizeAddress(peer)
    if (address === undefined) return false
    return isIP(address) === 4 ? lists[4].check(address, 'ipv4') : lists[6].check(address, 'ipv6')
  }
  // A list is looked through in C++, with an object for the address: proxies are few, and come again.
  const answers = new LruMap<string, boolean>(peers)
  return Object.freeze({
    description: `proxyAddress(${ranges.map((range) => `'${range}'`).join(', ')})`,
    admits: ({ socket }: AnyRequest) => {
      const peer = socket?.remoteAddress
      if (peer === undefined) return false
      const known = answers.get(peer)
      if (known !== undefined) return known
      const answer = check(peer)
      answers.set(peer, answer)
      return answer
    },
  })
}

function addRange(lists: { 4: BlockList; 6: BlockList }, range: string): void {
  if (typeof range !== 'string')
    throw new ClientCertConfigError(
      `proxyAddress(…): expected addresses, got ${range === undefined ? 'nothing' : typeof range}`,
    )
  const parts = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(range.trim())
  const address = parts?.[1]
  const version = address === undefined ? 0 : isIP(address)
  if (address === undefined || version === 0 || address.includes('%')) {
    throw new ClientCertConfigError(
      `proxyAddress('${range}') is neither an address nor a range — '10.0.3.7' or '10.0.3.0/24'; host names are not resolved`,
    )
  }
  if (version === 6 && /^\[::ffff:[0-9a-f]{1,4}:[0-9a-f]{1,4}\]$/.test(new URL(`http://[${address}]`).hostname)) {
    throw new ClientCertConfigError(`proxyAddress('${range}') is an IPv4 address mapped into IPv6 — write it as IPv4`)
  }
  const bits = version === 4 ? 32 : 128
  const prefix = parts?.[2] === undefined ? bits : Number(parts[2])
  if (prefix > bits)
    throw new ClientCertConfigError(`proxyAddress('${range}'): an IPv${version} prefix has at most ${bits} bits`)
  if (prefix === 0)
    throw new ClientCertConfigError(
      `proxyAddress('${range}') would believe everybody — name the addresses of your proxies`,
    )
  if (prefix < (version === 4 ? widestIpv4 : widestIpv6)) {
    process.emitWarning(
      `proxyAddress('${range}') believes every host of a very wide range — name the addresses of your proxies`,
      {
        type: 'MtlsIdentityWarning',
        code: 'MTLS_WIDE_PROXY_RANGE',
      },
    )
  }
  if (version === 4) lists[4].addSubnet(address, prefix, 'ipv4')
  else lists[6].addSubnet(address, prefix, 'ipv6')
}

/** The address in the one form ranges are compared with: no zone, IPv4 as IPv4. */
function normalizeAddress(address: string | undefined): string | undefined {
  if (address === undefined) return undefined
  const zone = address.indexOf('%')
  const bare = zone < 0 ? address : address.slice(0, zone)
  const normal = mappedIpv4(bare) ?? bare
  return isIP(normal) === 0 ? undefined : normal
}

function mappedIpv4(address: string): string | undefined {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  return mapped !== undefined && isIP(mapped) === 4 ? mapped : undefined
}
