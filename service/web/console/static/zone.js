// Moments that the server wrote in UTC, told in the zone of whoever looks; UTC stays where they point.

import { moment } from "./times.js";

/** Replace every moment within this node. */
export function zoned(node = document) {
  for (const each of node.querySelectorAll("time[datetime]")) each.replaceWith(moment(each.dateTime));
}

zoned();
