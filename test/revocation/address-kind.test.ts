import { describe, expect, test } from '@jest/globals'
import { plainAddress } from '../../src/address-ranges.js'
import { type AddressKind, addressKind } from '../../src/revocation/address-kind.js'

describe('what an address is for', () => {
  /** The first and the last address of each network, and their neighbours outside of it. */
  const networks: [
    kind: AddressKind,
    first: string,
    last: string,
    before: string | undefined,
    after: string | undefined,
  ][] = [
    ['unspecified', '0.0.0.0', '0.255.255.255', undefined, '1.0.0.0'],
    ['private', '10.0.0.0', '10.255.255.255', '9.255.255.255', '11.0.0.0'],
    ['shared', '100.64.0.0', '100.127.255.255', '100.63.255.255', '100.128.0.0'],
    ['loopback', '127.0.0.0', '127.255.255.255', '126.255.255.255', '128.0.0.0'],
    ['link-local', '169.254.0.0', '169.254.255.255', '169.253.255.255', '169.255.0.0'],
    ['private', '172.16.0.0', '172.31.255.255', '172.15.255.255', '172.32.0.0'],
    ['reserved', '192.0.0.0', '192.0.0.255', '191.255.255.255', '192.0.1.0'],
    ['documentation', '192.0.2.0', '192.0.2.255', '192.0.1.255', '192.0.3.0'],
    ['tunnel', '192.88.99.0', '192.88.99.255', '192.88.98.255', '192.88.100.0'],
    ['private', '192.168.0.0', '192.168.255.255', '192.167.255.255', '192.169.0.0'],
    ['benchmarking', '198.18.0.0', '198.19.255.255', '198.17.255.255', '198.20.0.0'],
    ['documentation', '198.51.100.0', '198.51.100.255', '198.51.99.255', '198.51.101.0'],
    ['documentation', '203.0.113.0', '203.0.113.255', '203.0.112.255', '203.0.114.0'],
    ['multicast', '224.0.0.0', '239.255.255.255', '223.255.255.255', undefined],
    ['reserved', '240.0.0.0', '255.255.255.254', undefined, undefined],
    ['benchmarking', '2001:2::', '2001:2:0:ffff:ffff:ffff:ffff:ffff', undefined, undefined],
    ['tunnel', '2001::', '2001:0:ffff:ffff:ffff:ffff:ffff:ffff', '2000:ffff::', undefined],
    ['reserved', '2001:1::', '2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff', undefined, '2001:200::'],
    ['documentation', '2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', '2001:db7::', '2001:db9::'],
    ['tunnel', '2002::', '2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '2001:ffff::', '2003::'],
    ['documentation', '3fff::', '3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff', '3ffe:ffff::', '3fff:1000::'],
  ]
  test.each(networks)('%s: %s to %s, and no address more', (kind, first, last, before, after) => {
    expect([addressKind(first), addressKind(last)]).toEqual([kind, kind])
    for (const outside of [before, after]) {
      if (outside !== undefined) expect([outside, addressKind(outside)]).toEqual([outside, 'global'])
    }
  })

  const single: [address: string, kind: AddressKind][] = [
    ['8.8.8.8', 'global'],
    ['2606:4700::1111', 'global'],
    ['255.255.255.255', 'broadcast'],
    ['169.254.169.254', 'metadata'],
    ['169.254.169.253', 'link-local'],
    ['100.100.100.200', 'metadata'],
    ['100.100.100.201', 'shared'],
    ['192.0.0.192', 'metadata'],
    ['168.63.129.16', 'metadata'],
    ['168.63.129.17', 'global'],
    ['fd00:ec2::254', 'metadata'],
    ['fd00:ec2::255', 'private'],
    ['fd20:ce::254', 'metadata'],
    ['::', 'unspecified'],
    ['::1', 'loopback'],
    ['::2', 'tunnel'],
    ['::8.8.8.8', 'tunnel'],
    ['::ffff:0:8.8.8.8', 'tunnel'],
    ['fc00::1', 'private'],
    ['fdff::1', 'private'],
    ['fe80::1', 'link-local'],
    ['febf::1', 'link-local'],
    ['fec0::1', 'private'],
    ['ff02::1', 'multicast'],
    ['64:ff9b::8.8.8.8', 'global'],
    ['64:ff9b::10.0.0.1', 'private'],
    ['64:ff9b::127.0.0.1', 'loopback'],
    ['64:ff9b::169.254.169.254', 'metadata'],
    ['64:ff9b:0:1::8.8.8.8', 'reserved'],
    ['64:ff9b:1::8.8.8.8', 'private'],
    ['100::1', 'reserved'],
    ['1fff::1', 'reserved'],
    ['4000::1', 'reserved'],
    ['5f00::1', 'reserved'],
  ]
  test.each(single)('%s is %s', (address, kind) => {
    expect(addressKind(plainAddress(address) as string)).toBe(kind)
  })
})

describe('the one way of writing an address', () => {
  const cases: [written: string, plain: string | undefined][] = [
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:0a00:0001', '10.0.0.1'],
    ['0:0:0:0:0:ffff:a00:1', '10.0.0.1'],
    ['::ffff:255.255.255.255', '255.255.255.255'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['::', '::'],
    ['1::', '1::'],
    ['::10.0.0.1', '::a00:1'],
    ['2001:db8::ffff:10.0.0.1', '2001:db8::ffff:a00:1'],
    ['fe80::1%eth0', undefined],
    ['::ffff:10.0.0.1%1', undefined],
    ['010.0.0.1', undefined],
    ['0x7f.1', undefined],
    ['localhost', undefined],
    ['10.0.0.1 ', undefined],
    ['', undefined],
  ]
  test.each(cases)('%s → %s', (written, plain) => {
    expect(plainAddress(written)).toBe(plain)
  })
})
