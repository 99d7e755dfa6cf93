// Package subscription is the pure core of event subscriptions: what a subscription is, which patterns it takes, and
// what becomes of an event that a target took or did not take. It makes no call and knows no database.
package subscription
